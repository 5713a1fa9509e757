//! The three methods: GetLogin, SetLogin, GetLogins.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::rt::task::spawn_blocking;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use data_encoding::HEXLOWER;

use super::conditional;
use super::encoding::Coding;
use super::guard::{Authorised, Endpoint};
use super::middleware::request_context::RequestContext;
use super::problem::{FieldError, Kind, Problem};
use super::request::RequestTarget;
use super::spec;
use super::state::ApiState;
use super::{body, list, manipulation, request};
use crate::domain::access::Method;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::interchange;
use crate::store::{Record, StoreError};

/// The caller alone may keep an answer, and asks each time whether it is current; the tag makes that cheap.
const READ_CACHE: &str = "private, no-cache";

pub(crate) struct GetLogin;
pub(crate) struct SetLogin;
pub(crate) struct GetLogins;

impl Endpoint for GetLogin {
    const METHOD: Method = Method::GetLogin;

    fn target(request: &HttpRequest) -> RequestTarget {
        RequestTarget::read(|errors| request::company_in_query(request.query_string(), errors))
    }
}

impl Endpoint for SetLogin {
    const METHOD: Method = Method::SetLogin;

    fn target(request: &HttpRequest) -> RequestTarget {
        let segment = spec::SET_LOGIN.segment.and_then(|segment| request.match_info().get(segment.name));
        RequestTarget::read(|errors| {
            request::repeated_parameters(request.query_string(), errors);
            request::company_in_path(segment.unwrap_or_default(), errors)
        })
    }
}

impl Endpoint for GetLogins {
    const METHOD: Method = Method::GetLogins;

    fn target(request: &HttpRequest) -> RequestTarget {
        RequestTarget::read(|errors| {
            request::repeated_parameters(request.query_string(), errors);
            None
        })
    }
}

/// GetLogin: the first and the latest login of one company.
pub(crate) async fn get_login(
    authorised: Authorised<GetLogin>,
    request: HttpRequest,
    api: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let RequestTarget { company, errors } = authorised.target;
    let (Some(company), true) = (company, errors.is_empty()) else {
        return Err(Problem::bad_request(errors));
    };
    let found = api.store.get(company).await.map_err(|error| store_problem(&authorised.context, error))?;
    let login = found.ok_or_else(|| Problem::new(Kind::CompanyUnknown))?;
    let tag = company_tag(login);
    let mut response = HttpResponse::Ok();
    read_headers(&mut response, &tag);
    if is_current(request.headers(), conditional::is(&tag))? {
        return Ok(not_modified(response));
    }
    last_modified(&mut response, Some(login.last()), api.clock.now());
    Ok(response.body(one(company, login)))
}

/// GetLogin's answer (`GetVirksomhedsLoginResponseDto`).
pub(crate) fn one(company: Cvr, login: LoginSpan) -> Vec<u8> {
    let mut text = Vec::with_capacity(160);
    text.extend_from_slice(br#"{"VirksomhedsLoginDto":"#);
    interchange::write_object(&mut text, &Record { cvr: company, login });
    text.push(b'}');
    text
}

/// SetLogin: the company logged in now, by the service's own clock.
pub(crate) async fn set_login(
    authorised: Authorised<SetLogin>,
    request: HttpRequest,
    payload: web::Payload,
    api: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    let text = body::read(&request, payload, api.body_timeout).await?;
    let RequestTarget { company: in_path, mut errors } = authorised.target;
    let in_body = request::company_in_body(&text, &mut errors);
    if let (Some(in_path), Some(in_body)) = (in_path, in_body)
        && in_path != in_body
    {
        let field = format!("{}.{}", request::DTO, request::CVR_NUMMER);
        errors.push(FieldError::new(field, "Skal være det samme CVR-nummer som i stien."));
    }
    let (Some(company), true) = (in_path, errors.is_empty()) else {
        return Err(Problem::bad_request(errors));
    };
    let store_problem = |error| store_problem(&authorised.context, error);
    if conditional::has_precondition(request.headers()) {
        check_write(request.headers(), api.store.get(company).await.map_err(store_problem)?)?;
    }
    api.store.record(company, api.clock.now()).await.map_err(store_problem)?;
    Ok(HttpResponse::NoContent().insert_header((header::CACHE_CONTROL, "no-store")).finish())
}

/// GetLogins: every company, ascending, as one consistent snapshot that is streamed and never built whole.
pub(crate) async fn get_logins(
    authorised: Authorised<GetLogins>,
    request: HttpRequest,
    api: web::Data<ApiState>,
) -> Result<HttpResponse, Problem> {
    if !authorised.target.errors.is_empty() {
        return Err(Problem::bad_request(authorised.target.errors));
    }
    let mut listing = api.store.list().await.map_err(|error| store_problem(&authorised.context, error))?;
    let headers = request.headers();
    let version = listing.version();
    let is_present = |tag: &str| tag.parse().is_ok_and(|known| version.is_same_content(&known));
    let is_present = |tag: Option<&str>| tag.is_none_or(is_present);
    let mut response = HttpResponse::Ok();
    read_headers(&mut response, &version.to_string());
    response.insert_header((header::VARY, HeaderValue::from_static("Accept-Encoding, A-IM")));
    if is_current(headers, is_present)? {
        return Ok(not_modified(response));
    }
    let latest = listing.latest();
    let mut sent = &api.metrics.list_bytes;
    if manipulation::wants_changes(headers) {
        let tags = conditional::tags(headers, header::IF_NONE_MATCH).flatten();
        let known: Vec<_> = tags.filter_map(|tag| tag.parse().ok()).collect();
        let store = Arc::clone(&api.store);
        // Hundreds of thousands of changes would keep the worker from its other requests.
        let restricted = spawn_blocking(move || {
            let is_restricted = store.restrict_to_changes(&mut listing, &known);
            (listing, is_restricted)
        });
        let is_restricted;
        (listing, is_restricted) = restricted.await.map_err(|_| Problem::new(Kind::Internal))?;
        if is_restricted {
            response.status(StatusCode::IM_USED).insert_header((manipulation::IM, manipulation::FEED));
            sent = &api.metrics.change_bytes;
        }
    }
    let coding = Coding::wanted(headers);
    if let Some(name) = coding.name() {
        response.insert_header((header::CONTENT_ENCODING, HeaderValue::from_static(name)));
    }
    last_modified(&mut response, latest, api.clock.now());
    let head_only = request.method() == actix_web::http::Method::HEAD;
    Ok(list::answer(&mut response, listing, coding, head_only, sent.clone()))
}

/// The opaque part of the entity tag of one company's state.
fn company_tag(login: LoginSpan) -> String {
    let [first, last] = [login.first(), login.last()].map(|login| login.millis().to_be_bytes());
    // Times have 48 bits up to the year 9999.
    HEXLOWER.encode(&[&first[2..], &last[2..]].concat())
}

/// 412 when the preconditions of a write do not fit the company's state, which may change before the write: logins merge.
fn check_write(headers: &HeaderMap, found: Option<LoginSpan>) -> Result<(), Problem> {
    let tag = found.map(company_tag);
    if is_current(headers, |named| tag.as_deref().is_some_and(|tag| conditional::is(tag)(named)))? {
        return Err(Problem::new(Kind::PreconditionFailed));
    }
    Ok(())
}

/// Whether `If-None-Match` names the present state; 412 when `If-Match` does not.
fn is_current(headers: &HeaderMap, is_present: impl Fn(Option<&str>) -> bool) -> Result<bool, Problem> {
    if conditional::if_match_fails(headers, &is_present) {
        return Err(Problem::new(Kind::PreconditionFailed));
    }
    Ok(conditional::if_none_match_fails(headers, &is_present))
}

/// The 304 with the headers of this answer but for what describes its body.
fn not_modified(mut response: HttpResponseBuilder) -> HttpResponse {
    let mut unchanged = response.status(StatusCode::NOT_MODIFIED).finish();
    unchanged.headers_mut().remove(header::CONTENT_TYPE);
    unchanged
}

fn read_headers(response: &mut HttpResponseBuilder, tag: &str) {
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("application/json")));
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static(READ_CACHE)));
    response.insert_header((header::ETAG, ["W/\"", tag, "\""].concat()));
}

/// When the answer last changed, to the second (RFC 9110 §8.8.2), for people and caches. `If-Modified-Since` is not evaluated:
/// two logins within a second, or an import of earlier ones, would be taken for no change.
fn last_modified(response: &mut HttpResponseBuilder, latest: Option<Timestamp>, now: Timestamp) {
    if let Some(latest) = latest {
        let seconds = latest.min(now).millis().unsigned_abs() / 1_000;
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        response.insert_header((header::LAST_MODIFIED, header::HttpDate::from(time)));
    }
}

/// What a caller learns of an error of the store; the rest goes to the log.
fn store_problem(context: &RequestContext, error: StoreError) -> Problem {
    context.note(|record| record.cause = Some(error.to_string()));
    match error {
        StoreError::DiskFull => Problem::retry_after(Kind::DiskFull, 10),
        StoreError::Full => Problem::unavailable(1),
        _ => Problem::unavailable(5),
    }
}
