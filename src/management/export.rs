//! `/export`: every record of one snapshot as NDJSON with its trailer, streamed after its audit line.
//!
//! A known length is announced, so that a receiver notices a truncated export even before it checks the trailer.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use actix_web::body::SizedStream;
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, ResponseError, rt, web};
use bytes::Bytes;
use futures_util::{Stream, stream};

use super::state::ManagementState;
use crate::api::ApiState;
use crate::api::middleware::audit::written;
use crate::api::middleware::request_context::RequestContext;
use crate::api::problem::Problem;
use crate::interchange::{self, Exporter};
use crate::store::{Block, PagedRecords, RecordStream, Snapshot};

pub(super) const PATH: &str = "/export";
/// The export's `metode` and `aarsag` in the audit line.
const METHOD: &str = "Export";
const RULE: &str = "server.management asks for no token";
/// Seconds after which an export that could not be read may be tried again.
const RETRY_SECONDS: u32 = 5;
/// Bytes of lines in a chunk.
const CHUNK: usize = 64 * 1024;

/// `GET /export`; 503 when the store cannot be read, or the audit line not be written.
pub(super) async fn export(
    state: web::Data<ManagementState>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    RequestContext::of(&request).note(|record| {
        record.authorised = true;
        record.reason = Some(RULE.to_owned());
    });
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, "application/x-ndjson"));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    let answer = match state.api.store.list().await {
        Ok(RecordStream::InMemory(snapshot)) => {
            let length = interchange::length(&snapshot);
            Ok(response.body(SizedStream::new(length, in_memory(snapshot))))
        }
        Ok(RecordStream::Paged(pages)) => Ok(response.streaming(paged(pages))),
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

/// The lines of a snapshot, many in a chunk, and the trailer.
fn in_memory(snapshot: Snapshot) -> impl Stream<Item = io::Result<Bytes>> {
    let mut position = Some((0, Exporter::default()));
    stream::iter(std::iter::from_fn(move || {
        let (next, mut exporter) = position.take()?;
        let mut text = Vec::with_capacity(CHUNK + Block::CAPACITY * interchange::ROW);
        for (key, block) in snapshot.blocks_from(next) {
            exporter.records(&mut text, block.records());
            if text.len() >= CHUNK {
                position = Some((key + 1, exporter));
                return Some(Ok(text.into()));
            }
        }
        exporter.trailer(&mut text);
        Some(Ok(text.into()))
    }))
}

/// The lines of each page, and the trailer.
fn paged(pages: PagedRecords) -> impl Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(Some((pages, Exporter::default())), |position| async {
        let Some((mut pages, mut exporter)) = position else { return Ok(None) };
        let mut text = Vec::new();
        match poll_fn(|context| pages.poll_page(context)).await.transpose().map_err(io::Error::other)? {
            Some(records) => exporter.records(&mut text, &records),
            None => {
                exporter.trailer(&mut text);
                return Ok(Some((text.into(), None)));
            }
        }
        Ok(Some((text.into(), Some((pages, exporter)))))
    })
}
