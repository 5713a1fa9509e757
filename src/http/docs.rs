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
//!
//! It is asked for by people, not by the methods' callers, and needs no token: everything is made anew for each
//! request, and a tag over the bytes lets browsers keep it.

mod guide;
pub mod host;
pub mod language;
mod method;
pub mod openapi;
mod operation;
mod page;
pub mod sheet;
mod swagger;
pub mod table;
mod words;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::Api;
use super::conditional::{if_match_fails, is_unchanged};
use super::encoding::Coding;
use super::problem::{Kind, Problem};
use host::Host;
use language::Language;

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
/// 412 as [`answer`].
pub async fn page(request: HttpRequest, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    let language = Language::wanted(request.query_string(), request.headers());
    let page = page::render(&api.matrix.load(), language, &Host::of(request.headers()));
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"));
    response.insert_header((header::CONTENT_LANGUAGE, language.tag()));
    response.insert_header((header::VARY, "Accept-Language"));
    let tag = tag(page.as_bytes());
    answer(&request, response, PAGE_POLICY, &tag, page.into())
}

/// `GET /openapi.json`: the OpenAPI document.
///
/// # Errors
/// 500 when it cannot be written as JSON; 412 as [`answer`].
pub async fn openapi(request: HttpRequest, api: web::Data<Api>) -> Result<HttpResponse, Problem> {
    let document = openapi::document(&api.matrix.load()).map_err(|error| {
        log::error!("the OpenAPI document cannot be written: {error}");
        Problem::new(Kind::Internal)
    })?;
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, "application/json"));
    let tag = tag(document.as_bytes());
    answer(&request, response, DATA_POLICY, &tag, document.into())
}

/// `GET /swagger`: the folder, from which Swagger UI's own addresses are counted.
pub async fn to_swagger() -> HttpResponse {
    let mut response = HttpResponse::PermanentRedirect();
    protect(&mut response, DATA_POLICY);
    response.insert_header((header::LOCATION, "/swagger/")).finish()
}

/// `GET /swagger/…`: Swagger UI.
///
/// # Errors
/// 404 for what it does not consist of; 412 as [`answer`].
pub async fn swagger(request: HttpRequest, file: web::Path<String>) -> Result<HttpResponse, Problem> {
    let file = swagger::file(&file).ok_or_else(|| Problem::new(Kind::PathUnknown))?;
    let packed = file.packed && Coding::wanted(request.headers()) == Coding::Gzip;
    let bytes = if file.packed && !packed { swagger::unpacked(file)? } else { file.bytes.clone() };
    let tag = format!(r#"W/"{}{}""#, file.fingerprint, if packed { "-gzip" } else { "" });
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, file.content_type.as_str()));
    response.insert_header((header::VARY, "Accept-Encoding"));
    if packed {
        response.insert_header((header::CONTENT_ENCODING, "gzip"));
    }
    answer(&request, response, swagger::POLICY, &tag, bytes)
}

/// `GET /assets/…`: the style sheet, under the name that the page of this build gives it.
///
/// # Errors
/// 404 for every other name.
pub async fn asset(file: web::Path<String>) -> Result<HttpResponse, Problem> {
    if file.as_str() != sheet::name() {
        return Err(Problem::new(Kind::PathUnknown));
    }
    let mut response = HttpResponse::Ok();
    protect(&mut response, DATA_POLICY);
    response.insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8"));
    response.insert_header((header::CACHE_CONTROL, FOR_EVER));
    Ok(response.body(sheet::TEXT))
}

/// The answer with these bytes, or 304 for a reader who has them.
///
/// # Errors
/// 412 for a reader who asks for others (`If-Match`).
fn answer(
    request: &HttpRequest,
    mut response: HttpResponseBuilder,
    policy: &'static str,
    tag: &str,
    bytes: Bytes,
) -> Result<HttpResponse, Problem> {
    if if_match_fails(request.headers(), &[tag]) {
        return Err(Problem::new(Kind::PreconditionFailed));
    }
    protect(&mut response, policy);
    response.insert_header((header::CACHE_CONTROL, ASK_AGAIN));
    response.insert_header((header::ETAG, tag));
    if is_unchanged(request.headers(), tag) {
        let mut unchanged = response.status(actix_web::http::StatusCode::NOT_MODIFIED).finish();
        // What describes the bytes goes with the bytes (RFC 9110 §15.4.5).
        for name in [header::CONTENT_TYPE, header::CONTENT_LANGUAGE, header::CONTENT_ENCODING] {
            unchanged.headers_mut().remove(name);
        }
        return Ok(unchanged);
    }
    Ok(response.body(bytes))
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

/// The entity tag of these bytes.
fn tag(bytes: &[u8]) -> String {
    format!(r#"W/"{}""#, fingerprint(bytes))
}

/// A short name for these bytes.
fn fingerprint(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes)[..8])
}
