//! The three methods: GetLogin, SetLogin, GetLogins.

use std::time::{Duration, UNIX_EPOCH};

use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};

use super::conditional::{self, is_unchanged};
use super::declaration::{self, Declaration};
use super::dto::Asked;
use super::encoding::Coding;
use super::exchange::Exchange;
use super::guard::{Authorised, Guarded};
use super::problem::{FieldFault, Kind, Problem};
use super::{Api, body, dto, list, short};
use crate::domain::cvr::Cvr;
use crate::domain::login::Login;
use crate::domain::timestamp::Timestamp;
use crate::store::{Record, StoreError, ndjson};

/// Authorised answers may be kept by the caller alone and are asked for again each time; the tag makes that cheap.
const READ_CACHE: &str = "private, no-cache";

/// `GET /v1/Login`
#[derive(Debug)]
pub struct GetLogin;

/// `PUT /v1/Login/{CvrNummer}`
#[derive(Debug)]
pub struct SetLogin;

/// `GET /v1/Logins`
#[derive(Debug)]
pub struct GetLogins;

impl Guarded for GetLogin {
    const DECLARATION: &'static Declaration = &declaration::GET_LOGIN;

    fn asked(request: &HttpRequest) -> Asked {
        let mut faults = Vec::new();
        let company = dto::company_in_query(request.query_string(), &mut faults);
        Asked { company, faults }
    }
}

impl Guarded for SetLogin {
    const DECLARATION: &'static Declaration = &declaration::SET_LOGIN;

    fn asked(request: &HttpRequest) -> Asked {
        let mut faults = Vec::new();
        dto::repeated_parameters(request.query_string(), &mut faults);
        let declared = Self::DECLARATION.segment.map(|segment| segment.name).unwrap_or_default();
        let segment = request.match_info().get(declared).unwrap_or_default();
        let company = dto::company_in_path(segment, &mut faults);
        Asked { company, faults }
    }
}

impl Guarded for GetLogins {
    const DECLARATION: &'static Declaration = &declaration::GET_LOGINS;

    fn asked(request: &HttpRequest) -> Asked {
        let mut faults = Vec::new();
        dto::repeated_parameters(request.query_string(), &mut faults);
        Asked { company: None, faults }
    }
}

/// GetLogin: the first and the latest login of one company.
pub async fn get_login(
    authorised: Authorised<GetLogin>,
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, Problem> {
    let (company, faults) = asked(authorised.asked, &authorised.exchange);
    let (Some(company), true) = (company, faults.is_empty()) else {
        return Err(Problem::bad_request(faults));
    };
    let found = api.store.get(company).await.map_err(|error| told(&authorised.exchange, error))?;
    let login = found.ok_or_else(|| Problem::new(Kind::CompanyUnknown))?;
    let coding = Coding::wanted(request.headers());
    let version = version(login);
    let tag = tag(&version, coding);
    if let Some(unchanged) = evaluated(request.headers(), &version, &tag)? {
        return Ok(unchanged);
    }
    let text = one(company, login);
    let mut response = HttpResponse::Ok();
    read_headers(&mut response, &tag, coding);
    last_modified(&mut response, Some(login.last()), api.clock.now());
    let body = short::encode(text, coding).map_err(|error| {
        authorised.exchange.note(|notes| notes.cause = Some(error.to_string()));
        Problem::new(Kind::Internal)
    })?;
    Ok(response.body(body))
}

/// GetLogin's answer (`GetVirksomhedsLoginResponseDto`).
pub fn one(company: Cvr, login: Login) -> Vec<u8> {
    let mut text = Vec::with_capacity(160);
    text.extend_from_slice(br#"{"VirksomhedsLoginDto":"#);
    ndjson::write_object(&mut text, &Record { cvr: company, login });
    text.push(b'}');
    text
}

/// SetLogin: the company logged in now, by the service's own clock.
pub async fn set_login(
    authorised: Authorised<SetLogin>,
    request: HttpRequest,
    payload: web::Payload,
    api: web::Data<Api>,
) -> Result<HttpResponse, Problem> {
    let text = body::read(&request, payload, api.body_timeout).await?;
    let (in_path, mut faults) = asked(authorised.asked, &authorised.exchange);
    let in_body = dto::company_in_body(&text, &mut faults);
    if let (Some(in_path), Some(in_body)) = (in_path, in_body)
        && in_path != in_body
    {
        let field = format!("{}.{}", dto::DTO, dto::CVR_NUMMER);
        faults.push(FieldFault::new(field, "Skal være det samme CVR-nummer som i stien."));
    }
    let (Some(company), true) = (in_path, faults.is_empty()) else {
        return Err(Problem::bad_request(faults));
    };
    if conditional::has_precondition(request.headers()) {
        let found = api.store.get(company).await.map_err(|error| told(&authorised.exchange, error))?;
        may_write(request.headers(), found)?;
    }
    let now = api.clock.now();
    api.store.record(company, now).await.map_err(|error| told(&authorised.exchange, error))?;
    Ok(HttpResponse::NoContent().insert_header((header::CACHE_CONTROL, "no-store")).finish())
}

/// GetLogins: every company, ascending, as one consistent snapshot that is streamed and never built whole.
pub async fn get_logins(
    authorised: Authorised<GetLogins>,
    request: HttpRequest,
    api: web::Data<Api>,
) -> Result<HttpResponse, Problem> {
    let (_, faults) = asked(authorised.asked, &authorised.exchange);
    if !faults.is_empty() {
        return Err(Problem::bad_request(faults));
    }
    let listing = api.store.list().await.map_err(|error| told(&authorised.exchange, error))?;
    let coding = Coding::wanted(request.headers());
    let version = listing.version();
    let tag = tag(&version, coding);
    if let Some(unchanged) = evaluated(request.headers(), &version, &tag)? {
        return Ok(unchanged);
    }
    let mut response = HttpResponse::Ok();
    read_headers(&mut response, &tag, coding);
    last_modified(&mut response, listing.latest(), api.clock.now());
    let head_only = request.method() == actix_web::http::Method::HEAD;
    Ok(list::answer(&mut response, listing, coding, head_only))
}

/// The company that was asked for, and every fault in the request's head.
fn asked(asked: Asked, exchange: &Exchange) -> (Option<Cvr>, Vec<FieldFault>) {
    let mut faults: Vec<_> = exchange.request_id.fault().into_iter().collect();
    faults.extend(asked.faults);
    (asked.company, faults)
}

/// The weak entity tag of a representation; each coding is one of its own (RFC 9110 §8.8.3.3).
fn tag(version: &str, coding: Coding) -> String {
    match coding.name() {
        None => format!(r#"W/"{version}""#),
        Some(name) => format!(r#"W/"{version}-{name}""#),
    }
}

/// The state of one company, in words for its tag.
fn version(login: Login) -> String {
    format!("{:x}-{:x}", login.first().millis(), login.last().millis())
}

/// Whether `If-Match` is for another state than this one, whichever coding it was read in.
fn is_for_another(headers: &HeaderMap, version: &str) -> bool {
    headers.contains_key(header::IF_MATCH) && {
        let tags = Coding::ALL.map(|coding| tag(version, coding));
        conditional::if_match_fails(headers, &tags.each_ref().map(String::as_str))
    }
}

/// 412 when the preconditions of a write do not fit the company's state.
///
/// The state is read before the write and may change between the two. Nothing is lost by it: logins only ever merge, so
/// that a write has no way to undo what came between.
fn may_write(headers: &HeaderMap, found: Option<Login>) -> Result<(), Problem> {
    let tags = found.map(version).map(|version| Coding::ALL.map(|coding| tag(&version, coding)));
    let tags: Vec<&str> = tags.iter().flatten().map(String::as_str).collect();
    if conditional::if_match_fails(headers, &tags) || conditional::if_none_match_fails(headers, &tags) {
        return Err(Problem::new(Kind::PreconditionFailed));
    }
    Ok(())
}

/// What the preconditions of a read make of it: 412 for another state, 304 for one that the caller has, else nothing.
fn evaluated(headers: &HeaderMap, version: &str, tag: &str) -> Result<Option<HttpResponse>, Problem> {
    if is_for_another(headers, version) {
        return Err(Problem::new(Kind::PreconditionFailed));
    }
    Ok(is_unchanged(headers, tag).then(|| {
        HttpResponse::NotModified()
            .insert_header((header::ETAG, tag))
            .insert_header((header::CACHE_CONTROL, READ_CACHE))
            .insert_header((header::VARY, "Accept-Encoding"))
            .finish()
    }))
}

fn read_headers(response: &mut HttpResponseBuilder, tag: &str, coding: Coding) {
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static(READ_CACHE)));
    response.insert_header((header::VARY, HeaderValue::from_static("Accept-Encoding")));
    response.insert_header((header::ETAG, tag));
    if let Some(name) = coding.name() {
        response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static(name)));
    }
}

/// When the answer last changed, to the second, as far as it can be told (RFC 9110 §8.8.2): the latest login in it, and
/// never a time to come.
///
/// For people and caches. `If-Modified-Since` is not evaluated: two logins within a second, or an import of earlier
/// ones, would be taken for no change; the tag knows better.
fn last_modified(response: &mut HttpResponseBuilder, latest: Option<Timestamp>, now: Timestamp) {
    if let Some(latest) = latest {
        let seconds = latest.min(now).millis().unsigned_abs() / 1_000;
        let moment = UNIX_EPOCH + Duration::from_secs(seconds);
        response.insert_header((header::LAST_MODIFIED, header::HttpDate::from(moment)));
    }
}

/// What a caller learns of a store that cannot do its part; the rest goes to the log.
fn told(exchange: &Exchange, error: StoreError) -> Problem {
    exchange.note(|notes| notes.cause = Some(error.to_string()));
    match error {
        StoreError::DiskFull => Problem::new(Kind::DiskFull)
            .with_header(header::RETRY_AFTER, header::HeaderValue::from_static("10")),
        StoreError::Full => Problem::unavailable(1),
        _ => Problem::unavailable(5),
    }
}
