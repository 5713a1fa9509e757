//! The documentation, made from the declarations that route, guard, validate and serialise, and from the table of access
//! as it is loaded now.
//!
//! | module | is for |
//! |---|---|
//! | `page`, `method`, `guide`, `words` | the page at `/`, its parts and its texts in two languages |
//! | [`table`] | the tables of input and output, read off the schemas |
//! | [`openapi`](mod@openapi), `operation` | the OpenAPI document |
//! | `swagger` | Swagger UI from inside the binary |
//! | [`host`], [`language`] | what a reader's request says of where and how to write |
//! | [`sheet`] | the style sheet under the name of its content |
//! | `rendered` | page and document as they are kept |
//! | `pieces` | stored files on their way to a reader |
//!
//! It is asked for by people, not by the methods' callers, and needs no token. So it costs little whoever asks: page and
//! document are rendered once for each access table, stored files go out as they are stored and in pieces, and a tag over the
//! bytes lets browsers keep them.

mod compress;
pub(crate) mod example;
mod guide;
pub(crate) mod host;
pub(crate) mod language;
mod method;
pub(crate) mod openapi;
mod operation;
mod page;
mod pieces;
mod rendered;
mod routes;
pub(crate) mod stylesheet;
mod swagger;
pub(crate) mod table;
mod texts;

pub(crate) use routes::routes;

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::http::Method as Verb;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::api::conditional::{if_match_fails, if_none_match_fails};
use crate::api::encoding::Coding;
use crate::api::list::Unsent;
use crate::api::problem::{Kind, Problem};
use host::Host;
use language::Language;
use pieces::Pieces;
use rendered::Rendered;

pub(crate) use rendered::DocsState;

/// The page runs no script, loads one style sheet, and stands in nobody's frame.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                           frame-ancestors 'none'";
/// What is data is not rendered at all.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// Asked for again each time, which the tag makes cheap: the table of access may have changed.
const ASK_AGAIN: &str = "no-cache";
/// For what has its content in its name.
const FOR_EVER: &str = "max-age=31536000, immutable";
/// Nothing that a browser could offer is needed.
const PERMISSIONS: &str = "camera=(), clipboard-read=(), display-capture=(), geolocation=(), microphone=(), \
                           payment=(), usb=()";

/// `GET /`: the page.
///
/// # Errors
/// 500 when it cannot be rendered; 412 when `If-Match` names another state.
pub(crate) async fn page(request: HttpRequest, docs: web::Data<DocsState>) -> Result<HttpResponse, Problem> {
    let language = Language::wanted(request.query_string(), request.headers());
    let (rendered, host) = (rendered(&docs)?, Host::of(request.headers()));
    let page = rendered.page(language);
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
    response.insert_header((header::CONTENT_LANGUAGE, language.tag()));
    response.insert_header((header::VARY, "Accept-Language"));
    answer(&request, response, PAGE_POLICY, &page.tag(&host), || page.text(&host))
}

/// `GET /openapi.json`: the OpenAPI document.
///
/// # Errors
/// 500 when it cannot be written as JSON; 412 when `If-Match` names another state.
pub(crate) async fn openapi(
    request: HttpRequest,
    docs: web::Data<DocsState>,
) -> Result<HttpResponse, Problem> {
    let coding = Coding::wanted(request.headers());
    let (document, tag) = rendered(&docs)?.document(coding);
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, "application/json"));
    encoded(&mut response, coding);
    answer(&request, response, DATA_POLICY, &tag, || Pieces::Stored(document))
}

fn rendered(docs: &DocsState) -> Result<Arc<Rendered>, Problem> {
    docs.rendered().map_err(|error| {
        log::error!("the OpenAPI document cannot be written: {error}");
        Problem::new(Kind::Internal)
    })
}

/// `GET /swagger`: the folder, from which Swagger UI's own addresses are counted.
pub(crate) async fn to_swagger() -> HttpResponse {
    let mut response = HttpResponse::PermanentRedirect();
    protect(&mut response, DATA_POLICY);
    response.insert_header((header::LOCATION, "/swagger/")).finish()
}

/// `GET /swagger/…`: Swagger UI.
///
/// # Errors
/// 404 for what it does not consist of; 412 when `If-Match` names another state.
pub(crate) async fn swagger(request: HttpRequest, file: web::Path<String>) -> Result<HttpResponse, Problem> {
    let file = swagger::file(&file).ok_or_else(|| Problem::new(Kind::PathUnknown))?;
    // What is stored is gzip, and no other coding is made of it.
    let packed = file.packed && Coding::wanted(request.headers()) == Coding::Gzip;
    let coding = if packed { Coding::Gzip } else { Coding::Identity };
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, file.content_type.as_str()));
    encoded(&mut response, coding);
    let bytes = || match file.packed && !packed {
        true => Pieces::unpacked(file.bytes.clone(), file.length),
        false => Pieces::Stored(file.bytes.clone()),
    };
    answer(&request, response, swagger::POLICY, &coded_tag(&file.fingerprint, coding), bytes)
}

/// `GET /assets/…`: the style sheet, under the name that the page of this build gives it.
///
/// # Errors
/// 404 for every other name.
pub(crate) async fn asset(file: web::Path<String>) -> Result<HttpResponse, Problem> {
    if file.as_str() != stylesheet::name() {
        return Err(Problem::new(Kind::PathUnknown));
    }
    let mut response = HttpResponse::Ok();
    protect(&mut response, DATA_POLICY);
    response.insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8"));
    response.insert_header((header::CACHE_CONTROL, FOR_EVER));
    Ok(response.body(stylesheet::TEXT))
}

/// The answer with this body, or 304 for a reader who has it.
///
/// # Errors
/// 412 for a reader who asks for another one (`If-Match`).
fn answer<B: MessageBody + 'static>(
    request: &HttpRequest,
    mut response: HttpResponseBuilder,
    policy: &'static str,
    tag: &str,
    body: impl FnOnce() -> B,
) -> Result<HttpResponse, Problem> {
    if if_match_fails(request.headers(), &[tag]) {
        return Err(Problem::new(Kind::PreconditionFailed));
    }
    protect(&mut response, policy);
    response.insert_header((header::CACHE_CONTROL, ASK_AGAIN));
    response.insert_header((header::ETAG, tag));
    if if_none_match_fails(request.headers(), &[tag]) {
        let mut unchanged = response.status(actix_web::http::StatusCode::NOT_MODIFIED).finish();
        // What describes the bytes goes with the bytes (RFC 9110 §15.4.5).
        for name in [header::CONTENT_TYPE, header::CONTENT_LANGUAGE, header::CONTENT_ENCODING] {
            unchanged.headers_mut().remove(name);
        }
        return Ok(unchanged);
    }
    let body = body();
    if request.method() == Verb::HEAD {
        return Ok(response.body(Unsent(body.size())));
    }
    Ok(response.body(body))
}

/// The headers of an answer that depends on the coding that was asked for.
fn encoded(response: &mut HttpResponseBuilder, coding: Coding) {
    response.insert_header((header::VARY, "Accept-Encoding"));
    if let Some(name) = coding.name() {
        response.insert_header((header::CONTENT_ENCODING, name));
    }
}

/// The headers that every answer of the documentation carries.
fn protect(response: &mut HttpResponseBuilder, policy: &'static str) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("permissions-policy"), PERMISSIONS),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.insert_header((name, HeaderValue::from_static(value)));
    }
}

/// The entity tag of bytes with this fingerprint; each coding is one of its own (RFC 9110 §8.8.3.3).
fn coded_tag(fingerprint: &str, coding: Coding) -> String {
    match coding.name() {
        None => format!(r#"W/"{fingerprint}""#),
        Some(name) => format!(r#"W/"{fingerprint}-{name}""#),
    }
}

/// A short name for these bytes.
fn fingerprint(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes)[..8])
}
