//! `/export`: every record of one snapshot as NDJSON with its trailer, streamed after its audit line.
//!
//! A known length is announced, so that a receiver notices a truncated export even before it checks the trailer.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, ResponseError, rt, web};
use bytes::Bytes;

use super::state::ManagementState;
use crate::api::ApiState;
use crate::api::middleware::audit::written;
use crate::api::middleware::request_context::RequestContext;
use crate::api::problem::Problem;
use crate::interchange;
use crate::interchange::Exporter;
use crate::store::{Block, PagedRecords, RecordStream, Snapshot};

pub(super) const PATH: &str = "/export";
/// The export's `metode` and `aarsag` in the audit line.
const METHOD: &str = "Export";
const RULE: &str = "server.management asks for no token";
/// Seconds after which an export that could not be read may be tried again.
const RETRY_SECONDS: u32 = 5;
/// Bytes of lines in a chunk.
const CHUNK: usize = 64 * 1024;

/// `GET /export`.
///
/// # Errors
/// 503: the store cannot be read, or the audit line not be written.
pub(super) async fn export(
    state: web::Data<ManagementState>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    RequestContext::of(&request).note(|record| {
        record.authorised = true;
        record.reason = Some(RULE.to_owned());
    });
    let answer = match state.api.store.list().await {
        Ok(listing) => Ok(HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "application/x-ndjson"))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .body(ExportBody::new(listing))),
        Err(error) => {
            let cause = format!("the export cannot be read from the store: {error}");
            RequestContext::of(&request).note(|record| record.cause = Some(cause));
            Err(Problem::unavailable(RETRY_SECONDS))
        }
    };
    audited(&state.api, &request, answer).await
}

/// Writes the audit line of an export; without it the answer is 503.
pub(super) async fn audited(
    api: &ApiState,
    request: &HttpRequest,
    answer: Result<HttpResponse, Problem>,
) -> Result<HttpResponse, Problem> {
    let context = RequestContext::of(request);
    let (status, code) = match &answer {
        Ok(response) => (response.status(), None),
        Err(problem) => (problem.status_code(), Some(problem.code())),
    };
    let line = context.audit_line(api.clock.now(), METHOD, status, code);
    let audit = Arc::clone(&api.audit);
    // On another thread: a file that does not accept the line must not stop `/livez`.
    let outcome = rt::task::spawn_blocking(move || audit.write_alone(&line)).await;
    let outcome = outcome.unwrap_or_else(|_| Err(io::Error::other("the thread that writes it panicked")));
    written(api, &context, outcome).and(answer)
}

#[derive(Debug)]
struct ExportBody {
    records: Records,
    /// `None` after the trailer.
    exporter: Option<Exporter>,
}

#[derive(Debug)]
enum Records {
    /// With the key of the next block.
    InMemory(Snapshot, u32),
    Paged(PagedRecords),
}

impl ExportBody {
    fn new(listing: RecordStream) -> Self {
        let records = match listing {
            RecordStream::InMemory(snapshot) => Records::InMemory(snapshot, 0),
            RecordStream::Paged(paged) => Records::Paged(paged),
        };
        Self { records, exporter: Some(Exporter::default()) }
    }
}

impl MessageBody for ExportBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        match &self.records {
            Records::InMemory(snapshot, _) => BodySize::Sized(interchange::length(snapshot)),
            Records::Paged(_) => BodySize::Stream,
        }
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Self { records, exporter } = &mut *self;
        let Some(open) = exporter else { return Poll::Ready(None) };
        let mut text = Vec::new();
        match records {
            Records::InMemory(snapshot, next) => {
                text.reserve(CHUNK + Block::CAPACITY * interchange::ROW);
                for (key, block) in snapshot.blocks_from(*next) {
                    open.records(&mut text, block.records());
                    *next = key + 1;
                    if text.len() >= CHUNK {
                        return Poll::Ready(Some(Ok(text.into())));
                    }
                }
            }
            Records::Paged(paged) => match ready!(paged.poll_page(context)) {
                Some(Ok(records)) => {
                    open.records(&mut text, &records);
                    return Poll::Ready(Some(Ok(text.into())));
                }
                Some(Err(error)) => {
                    *exporter = None;
                    return Poll::Ready(Some(Err(io::Error::other(error))));
                }
                None => {}
            },
        }
        if let Some(last) = exporter.take() {
            last.trailer(&mut text);
        }
        Poll::Ready(Some(Ok(text.into())))
    }
}
