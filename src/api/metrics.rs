//! What is counted of the calls. Only counters: `management` reads them when it is scraped.

use super::deny_reason::DenyCounters;
use super::middleware::parse_errors::UnreadRequests;
use super::request_metrics::Requests;
use crate::telemetry::metrics::Counter;

/// What is counted of the calls.
#[derive(Debug, Default)]
pub struct Metrics {
    /// How the calls ended.
    pub requests: Requests,
    /// Why calls were denied.
    pub denials: DenyCounters,
    /// What the HTTP parser refused.
    pub unread: UnreadRequests,
    /// Audit lines that could not be written; each of them cost its call the answer.
    pub audit_failures: Counter,
}
