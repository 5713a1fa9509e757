//! The paths of the documentation, on the API's listener behind the methods, and their answers.

use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use arc_swap::{ArcSwap, ArcSwapOption};

use super::document::{Document, protect};
use super::language::Language;
use super::{openapi, page, swagger};
use crate::api::middleware::forwarded::Sender;
use crate::api::middleware::request_context::RequestContext;
use crate::api::problem::{Kind, Problem};
use crate::api::routes::{READ, path, read};
use crate::domain::access::AccessTable;

/// The page loads its own script and style sheet, and may not be framed.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; \
                           form-action 'none'; frame-ancestors 'none'";
/// Data is not rendered at all.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";
/// For what has its content in its name.
const FOR_EVER: &str = "max-age=31536000, immutable";
/// Placeholder for the address that the page's calls go to; not a character of any text.
const BASE: &str = "\u{fdd0}";
/// Printed when the request names no host.
const FALLBACK: &str = "localhost:8080";

/// What the documentation is made from.
#[derive(Debug)]
pub(crate) struct DocsState {
    access_table: Arc<ArcSwap<AccessTable>>,
    /// The address that the page prints; none is what was asked for.
    public_url: Option<String>,
    /// What was rendered last; a reload replaces the access table, and with it this.
    cache: ArcSwapOption<Rendered>,
}

/// What is rendered of one access table.
#[derive(Debug)]
struct Rendered {
    access_table: Arc<AccessTable>,
    /// In the order of [`Language::ALL`], with [`BASE`] for the address.
    pages: [String; 2],
    openapi: Document,
}

impl DocsState {
    pub(crate) fn new(access_table: Arc<ArcSwap<AccessTable>>, public_url: Option<String>) -> Self {
        Self { access_table, public_url, cache: ArcSwapOption::empty() }
    }

    /// What is rendered of the access table that is loaded now.
    fn rendered(&self) -> Arc<Rendered> {
        let access_table = self.access_table.load_full();
        let cached = self.cache.load_full();
        cached.filter(|cached| Arc::ptr_eq(&cached.access_table, &access_table)).unwrap_or_else(|| {
            let rendered = Arc::new(Rendered {
                pages: Language::ALL.map(|language| page::render(&access_table, language, BASE)),
                openapi: Document::new("application/json", openapi::document(&access_table), None)
                    .compressed(),
                access_table,
            });
            self.cache.store(Some(Arc::clone(&rendered)));
            rendered
        })
    }
}

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(path("/", READ, [read().to(page)]))
        .service(path("/openapi.json", READ, [read().to(openapi)]))
        .service(path("/swagger", READ, [read().to(to_swagger)]))
        .service(path("/swagger/{file:.*}", READ, [read().to(swagger)]))
        .service(path("/assets/{file}", READ, [read().to(asset)]));
}

/// `GET /`: the page. Its `curl` lines call `server.public_url`, else scheme and host that a trusted proxy names, else the
/// host of the request; `api` has checked that each is one before it is printed.
async fn page(request: HttpRequest, docs: web::Data<DocsState>) -> Result<HttpResponse, Problem> {
    let language = Language::wanted(&request);
    let text = &docs.rendered().pages[language as usize];
    let text = match &docs.public_url {
        Some(url) => text.replace(BASE, url),
        None => text.replace(BASE, &asked(&request)),
    };
    let page = Document::new("text/html; charset=utf-8", text, None).in_language(language.tag());
    page.answer(&request, PAGE_POLICY, "Accept-Language")
}

/// The address that the request was for.
fn asked(request: &HttpRequest) -> String {
    let context = RequestContext::of(request);
    let sender = Sender::of(request, context.api.as_ref().map(|api| api.get_ref()));
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = sender.host.or(host).filter(|host| !host.is_empty()).unwrap_or(FALLBACK);
    format!("{}://{host}", sender.scheme.unwrap_or("http"))
}

/// `GET /openapi.json`: the OpenAPI document.
async fn openapi(request: HttpRequest, docs: web::Data<DocsState>) -> Result<HttpResponse, Problem> {
    docs.rendered().openapi.answer(&request, DATA_POLICY, "Accept-Encoding")
}

/// `GET /swagger`: the directory, which Swagger UI's own addresses are relative to.
async fn to_swagger() -> HttpResponse {
    let mut response = HttpResponse::PermanentRedirect();
    protect(&mut response, DATA_POLICY);
    response.insert_header((header::LOCATION, "/swagger/")).finish()
}

/// `GET /swagger/…`: Swagger UI.
async fn swagger(request: HttpRequest, file: web::Path<String>) -> Result<HttpResponse, Problem> {
    let file = swagger::file(&file).ok_or_else(|| Problem::new(Kind::PathUnknown))?;
    file.answer(&request, swagger::POLICY, "Accept-Encoding")
}

/// `GET /assets/…`: style sheet and script, under the paths that the page of this build gives them.
async fn asset(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let asset = page::ASSETS.into_iter().find(|asset| page::asset_path(*asset) == request.path());
    let (_, subtype, content) = asset.ok_or_else(|| Problem::new(Kind::PathUnknown))?;
    let mut response = HttpResponse::Ok();
    protect(&mut response, DATA_POLICY);
    response.insert_header((header::CONTENT_TYPE, format!("text/{subtype}; charset=utf-8")));
    response.insert_header((header::CACHE_CONTROL, FOR_EVER));
    Ok(response.body(content))
}
