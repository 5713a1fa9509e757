//! `GET /metrics` on the management listener: everything that is counted, as Prometheus reads it.
//!
//! docs/METRICS.md says what each metric means and what to do about it; a test holds that the two name the same. The
//! running numbers are kept by those who know them (`http::requests`, `http::refusal`, `auth`, `store`) and are only
//! read here; a scrape costs no call anything, and waits for no disk longer than a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpResponse, rt, web};
use prometheus_client::encoding::prometheus_text::{CONTENT_TYPE, encode};
use prometheus_client::registry::Registry;

use super::ManagementState;
use crate::api::problem::{Kind, Problem};
use crate::store::Store;
use collector::ServiceCollector;

mod collector;
mod encoder;
mod process;

/// How long a scrape waits for the sizes of the store's files; the last known one is told after that.
const SIZES_WITHIN: Duration = Duration::from_secs(1);

/// What the store takes on the disk, as far as it is known.
#[derive(Debug, Default)]
pub(super) struct StoreSize(Arc<Size>);

#[derive(Debug, Default)]
struct Size {
    bytes: AtomicU64,
    known: AtomicBool,
    /// Somebody is looking. On a disk that stands still that may take for ever; no second one goes after the first.
    looking: AtomicBool,
}

/// `GET /metrics`.
///
/// # Errors
/// 500 when the text cannot be made, which does not happen.
pub(crate) async fn scrape(state: web::Data<ManagementState>) -> Result<HttpResponse, Problem> {
    let size = store_bytes(&state.size.0, &state.api.store).await;
    let page = ServiceCollector::of(&state, size);
    let mut registry = Registry::default();
    registry.register_collector(Box::new(page));
    let mut text = String::with_capacity(32 << 10);
    encode(&mut text, &registry).map_err(|_| Problem::new(Kind::Internal))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, CONTENT_TYPE))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text))
}

/// The store's size, looked up on another thread: this one must go on answering `/livez`.
async fn store_bytes(size: &Arc<Size>, store: &Arc<Store>) -> Option<u64> {
    if !size.looking.swap(true, Ordering::AcqRel) {
        let (size, store) = (Arc::clone(size), Arc::clone(store));
        let look = rt::task::spawn_blocking(move || {
            match store.disk_bytes() {
                Ok(Some(bytes)) => {
                    size.bytes.store(bytes, Ordering::Release);
                    size.known.store(true, Ordering::Release);
                }
                Ok(None) => {}
                Err(error) => {
                    log::debug!("the store's files cannot be looked at: {error}");
                    size.known.store(false, Ordering::Release);
                }
            }
            size.looking.store(false, Ordering::Release);
        });
        let _ = tokio::time::timeout(SIZES_WITHIN, look).await;
    }
    size.known.load(Ordering::Acquire).then(|| size.bytes.load(Ordering::Acquire))
}
