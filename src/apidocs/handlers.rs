//! The answers of the documentation, with the headers that a browser needs to keep and to confine them.

use std::io::{self, Cursor, Read};
use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::http::Method as Verb;
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::{Buf, Bytes};
use flate2::read::GzDecoder;
use futures_util::{Stream, stream};

use super::entity_tag::entity_tag;
use super::host::Host;
use super::language::Language;
use super::rendered::{DocsState, Rendered};
use super::{stylesheet, swagger};
use crate::api::conditional::{if_match_fails, if_none_match_fails};
use crate::api::encoding::Coding;
use crate::api::problem::{Kind, Problem};

/// The page runs no script, loads one style sheet, and may not be framed.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; \
                           frame-ancestors 'none'";
/// Data is not rendered at all.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// Asked for again each time, because the access table may have changed; the entity tag makes that cheap.
const ASK_AGAIN: &str = "no-cache";
/// For what has its content in its name.
const FOR_EVER: &str = "max-age=31536000, immutable";
/// Nothing that a browser could offer is needed.
const PERMISSIONS: &str = "camera=(), clipboard-read=(), display-capture=(), geolocation=(), microphone=(), \
                           payment=(), usb=()";
/// How many bytes of a file are sent at once: actix-http buffers one such piece for a slow reader, and smaller ones cost more
/// processor time than they save memory.
const PIECE: u64 = 64 * 1024;

/// A body's length, and what it is read from.
type Body = (u64, Box<dyn Read>);

/// `GET /`: the page.
pub(super) async fn page(request: HttpRequest, docs: web::Data<DocsState>) -> Result<HttpResponse, Problem> {
    let (language, host) = (Language::wanted(&request), Host::of(request.headers()));
    let rendered = rendered(&docs)?;
    let page = rendered.page(language);
    let content =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_LANGUAGE, language.tag())];
    answer(&request, PAGE_POLICY, "Accept-Language", &page.tag(&host), content, || {
        let text = page.text(&host);
        (text.len() as u64, Box::new(Cursor::new(text)))
    })
}

/// `GET /openapi.json`: the OpenAPI document.
pub(super) async fn openapi(
    request: HttpRequest,
    docs: web::Data<DocsState>,
) -> Result<HttpResponse, Problem> {
    let coding = Coding::wanted(request.headers());
    let (document, tag) = rendered(&docs)?.document(coding);
    let content = encoded("application/json", coding);
    answer(&request, DATA_POLICY, "Accept-Encoding", &tag, content, || stored(document))
}

fn rendered(docs: &DocsState) -> Result<Arc<Rendered>, Problem> {
    docs.rendered().map_err(|error| {
        log::error!("the OpenAPI document cannot be written: {error}");
        Problem::new(Kind::Internal)
    })
}

/// `GET /swagger`: the directory, which Swagger UI's own addresses are relative to.
pub(super) async fn to_swagger() -> HttpResponse {
    let mut response = HttpResponse::PermanentRedirect();
    protect(&mut response, DATA_POLICY);
    response.insert_header((header::LOCATION, "/swagger/")).finish()
}

/// `GET /swagger/…`: Swagger UI. Its files are stored in gzip, and no other coding is made of them.
pub(super) async fn swagger(request: HttpRequest, file: web::Path<String>) -> Result<HttpResponse, Problem> {
    let file = swagger::file(&file).ok_or_else(|| Problem::new(Kind::PathUnknown))?;
    let compressed = file.compressed && Coding::wanted(request.headers()) == Coding::Gzip;
    let coding = if compressed { Coding::Gzip } else { Coding::Identity };
    let content = encoded(&file.content_type, coding);
    let tag = entity_tag(&file.fingerprint, coding);
    answer(&request, swagger::POLICY, "Accept-Encoding", &tag, content, || {
        let bytes = file.bytes.clone();
        if file.compressed && !compressed {
            (file.length, Box::new(GzDecoder::new(bytes.reader())))
        } else {
            stored(bytes)
        }
    })
}

/// `GET /assets/…`: the style sheet, under the name that the page of this build gives it.
pub(super) async fn asset(file: web::Path<String>) -> Result<HttpResponse, Problem> {
    if file.as_str() != stylesheet::name() {
        return Err(Problem::new(Kind::PathUnknown));
    }
    let mut response = HttpResponse::Ok();
    protect(&mut response, DATA_POLICY);
    response.insert_header((header::CONTENT_TYPE, "text/css; charset=utf-8"));
    response.insert_header((header::CACHE_CONTROL, FOR_EVER));
    Ok(response.body(stylesheet::TEXT))
}

/// The answer with this body and the headers that describe it, or 304 for a reader who has it.
///
/// # Errors
/// 412 for a reader who wants another state (`If-Match`).
fn answer<'a>(
    request: &HttpRequest,
    policy: &'static str,
    vary: &'static str,
    tag: &str,
    content: impl IntoIterator<Item = (HeaderName, &'a str)>,
    body: impl FnOnce() -> Body,
) -> Result<HttpResponse, Problem> {
    if if_match_fails(request.headers(), &[tag]) {
        return Err(Problem::new(Kind::PreconditionFailed));
    }
    let mut response = HttpResponse::Ok();
    protect(&mut response, policy);
    response.insert_header((header::CACHE_CONTROL, ASK_AGAIN));
    response.insert_header((header::VARY, vary));
    response.insert_header((header::ETAG, tag));
    if if_none_match_fails(request.headers(), &[tag]) {
        return Ok(response.status(actix_web::http::StatusCode::NOT_MODIFIED).finish());
    }
    for described in content {
        response.insert_header(described);
    }
    let (length, reader) = body();
    // actix-http would read the body of an answer to HEAD only to discard it.
    let reader = if request.method() == Verb::HEAD { Box::new(io::empty()) } else { reader };
    Ok(response.body(SizedStream::new(length, pieces(reader))))
}

fn stored(bytes: Bytes) -> Body {
    (bytes.len() as u64, Box::new(bytes.reader()))
}

/// What is read, in pieces of at most [`PIECE`] bytes.
fn pieces(mut reader: Box<dyn Read>) -> impl Stream<Item = io::Result<Bytes>> {
    stream::iter(std::iter::from_fn(move || {
        let mut piece = Vec::new();
        match reader.by_ref().take(PIECE).read_to_end(&mut piece) {
            Ok(0) => None,
            Ok(_) => Some(Ok(piece.into())),
            Err(error) => Some(Err(error)),
        }
    }))
}

/// The headers that describe a body of this type in this coding.
fn encoded(content_type: &str, coding: Coding) -> impl Iterator<Item = (HeaderName, &str)> {
    let encoding = coding.name().map(|name| (header::CONTENT_ENCODING, name));
    [(header::CONTENT_TYPE, content_type)].into_iter().chain(encoding)
}

/// The headers that every answer of the documentation carries.
fn protect(response: &mut HttpResponseBuilder, policy: &'static str) {
    for field in [
        ("content-security-policy", policy),
        ("referrer-policy", "no-referrer"),
        ("permissions-policy", PERMISSIONS),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        response.insert_header(field);
    }
}
