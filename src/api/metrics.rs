//! The counters of the calls; `management` reads them when it is scraped.

use super::deny_reason::DenyCounters;
use super::middleware::parse_errors::UnreadRequests;
use super::request_metrics::Requests;
use crate::telemetry::metrics::Counter;

/// The counters of the calls.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(crate) requests: Requests,
    pub(crate) denials: DenyCounters,
    /// Rejected by the HTTP parser.
    pub(crate) unread: UnreadRequests,
    /// Audit lines that could not be written; each of them cost its call the answer.
    pub(crate) audit_failures: Counter,
}
