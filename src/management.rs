//! The management listener: is the process alive, may it be sent requests, what does it hold? Never reachable through
//! the API's address.
//!
//! It asks for no token, so web pages are kept out (`origin`), and who takes the register away leaves an audit line.

pub(crate) mod clock;
mod export_body;
pub(crate) mod metrics;
mod origin;
mod routes;

pub(crate) use routes::routes;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError, rt, web};
use futures_util::future::join;

use crate::api::ApiState;
use crate::api::middleware::audit::RETRY_SECONDS as RETRY_WITHOUT_AUDIT_SECONDS;
use crate::api::middleware::errors::PassThroughError;
use crate::api::middleware::request_context::RequestContext;
use crate::api::problem::{Kind, Problem};
use crate::escape::json_string;

/// Seconds after which an export that could not be read may be tried again.
const RETRY_EXPORT_SECONDS: u32 = 5;

/// Whether the service is on its way down.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    stopping: AtomicBool,
}

impl Lifecycle {
    /// From now on the service is not ready.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether [`Lifecycle::stop`] was called.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }
}

/// What the management listener is served from.
pub(crate) struct ManagementState {
    /// What the API is served from.
    pub api: web::Data<ApiState>,
    /// Whether the service is on its way down.
    pub lifecycle: Lifecycle,
    /// Whether the clock may be believed.
    pub clock: clock::ClockState,
    size: metrics::StoreSize,
}

impl ManagementState {
    /// The state beside this API's.
    pub(crate) fn new(api: web::Data<ApiState>) -> Self {
        Self {
            api,
            lifecycle: Lifecycle::default(),
            clock: clock::ClockState::default(),
            size: metrics::StoreSize::default(),
        }
    }
}

/// `GET /livez`: 200 as long as the process answers.
pub(crate) async fn livez() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(r#"{"status":"alive"}"#)
}

/// `GET /readyz`: 200 when requests can be answered, else 503 naming what is missing. The store is asked to write,
/// sync and read back for real.
pub(crate) async fn readyz(state: web::Data<ManagementState>) -> HttpResponse {
    let api = &state.api;
    let mut missing: Vec<(&str, String)> = Vec::new();
    if state.lifecycle.is_stopping() {
        missing.push(("lifecycle", "the service is shutting down".to_owned()));
    }
    if !api.authenticator.has_keys() {
        missing.push(("keys", "no usable key set is at hand".to_owned()));
    }
    // Side by side: a database that stands still is waited for once.
    let (store, clock) = join(api.store.ready(), clock::check(&state)).await;
    if let Err(error) = store {
        missing.push(("store", error.to_string()));
    }
    if let Err(wrong) = clock {
        missing.push(("clock", wrong.to_string()));
    }
    if let Err(fault) = api.audit.ready() {
        missing.push(("audit", fault));
    }
    let mut body = Vec::new();
    body.extend_from_slice(if missing.is_empty() {
        br#"{"status":"ready""#
    } else {
        br#"{"status":"not ready","missing":{"#
    });
    for (index, (part, reason)) in missing.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        json_string(&mut body, part);
        body.push(b':');
        json_string(&mut body, reason);
    }
    if !missing.is_empty() {
        body.push(b'}');
    }
    body.push(b'}');
    let mut response =
        if missing.is_empty() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((header::CONTENT_TYPE, "application/json"));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    let mut response = response.body(body);
    response.extensions_mut().insert(PassThroughError);
    response
}

/// The path of the export.
pub(crate) const EXPORT: &str = "/export";
/// What the audit line of an export calls it, and the rule that let it in.
const EXPORT_METHOD: &str = "Export";
const EXPORT_RULE: &str = "server.management asks for no token";

/// `GET /export`: every record of one moment as NDJSON with its trailer, after its audit line.
///
/// # Errors
/// 503 when the store cannot be read, or the audit line not be written.
pub(crate) async fn export(
    state: web::Data<ManagementState>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    RequestContext::of(&request).note(|record| {
        record.authorised = true;
        record.reason = Some(EXPORT_RULE.to_owned());
    });
    let answer = match state.api.store.list().await {
        Ok(listing) => Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/x-ndjson"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(export_body::Export::new(listing))),
        Err(error) => {
            let cause = format!("the export cannot be read from the store: {error}");
            RequestContext::of(&request).note(|record| record.cause = Some(cause));
            Err(Problem::unavailable(RETRY_EXPORT_SECONDS))
        }
    };
    audited(&state.api, &request, answer).await
}

/// Writes the audit line of a call of the export; what cannot be audited is not answered.
async fn audited(
    api: &ApiState,
    request: &HttpRequest,
    answer: Result<HttpResponse, Problem>,
) -> Result<HttpResponse, Problem> {
    let context = RequestContext::of(request);
    let (status, code) = match &answer {
        Ok(response) => (response.status(), None),
        Err(problem) => (problem.status_code(), Some(problem.code())),
    };
    let line = context.audit_line(api.clock.now(), EXPORT_METHOD, status, code);
    let audit = Arc::clone(&api.audit);
    // On another thread: a file that does not take the line must not hold up the one that answers `/livez`.
    let written = rt::task::spawn_blocking(move || audit.write_alone(&line)).await;
    match written.unwrap_or_else(|_| Err(io::Error::other("the thread that writes it panicked"))) {
        Ok(()) => answer,
        Err(error) => {
            api.metrics.audit_failures.increment();
            context
                .note(|record| record.cause = Some(format!("the audit line could not be written: {error}")));
            Err(Problem::unavailable(RETRY_WITHOUT_AUDIT_SECONDS))
        }
    }
}

/// Refuses what only a web page would send: 421, or 503 when the audit line of a refused export cannot be written.
///
/// # Errors
/// Those of what it guards.
pub(crate) async fn refuse_web_pages<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let Err(reason) = origin::check(&request) else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let (request, _) = request.into_parts();
    RequestContext::of(&request).note(|record| record.cause = Some(reason.to_owned()));
    let mut refused = Problem::new(Kind::Misdirected);
    if request.match_pattern().as_deref() == Some(EXPORT)
        && let Some(api) = request.app_data::<web::Data<ApiState>>()
        && let Err(problem) = audited(api, &request, Err(refused.clone())).await
    {
        refused = problem;
    }
    Ok(ServiceResponse::new(request, HttpResponse::from_error(refused).map_into_right_body()))
}
