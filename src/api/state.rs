//! The state that the API is served from.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::denied_calls::DeniedCalls;
use super::deny_reason::DenyCounters;
use super::middleware::parse_errors::UnreadRequests;
use super::rate_limit::TokenBuckets;
use super::request_metrics::Requests;
use crate::audit::AuditLog;
use crate::auth::Authenticator;
use crate::domain::access::AccessTable;
use crate::domain::clock::SharedClock;
use crate::store::Store;
use crate::telemetry::metrics::Counter;
use crate::trusted_proxies::TrustedProxies;

/// What the API is served from, shared by all workers.
pub struct ApiState {
    /// Token → caller.
    pub authenticator: Arc<Authenticator>,
    /// Replaced as a whole on SIGHUP.
    pub access_table: Arc<ArcSwap<AccessTable>>,
    /// Where logins are kept.
    pub store: Arc<Store>,
    /// Where audit lines go.
    pub audit: Arc<AuditLog>,
    /// The service's time.
    pub clock: SharedClock,
    /// The counters of the calls.
    pub metrics: Arc<Metrics>,
    /// How many calls one client may make, when that is limited.
    pub rate: Option<TokenBuckets>,
    /// Buckets of calls without a good token.
    pub denied_calls: DeniedCalls,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// Peers that say for whom they speak.
    pub trusted_proxies: TrustedProxies,
    /// The header in which they show the client's certificate.
    pub certificate_header: String,
}

/// The counters of the calls; `management` reads them when it is scraped.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(crate) requests: Requests,
    /// Bytes of the bodies of whole lists (200) that were sent.
    pub(crate) list_bytes: Counter,
    /// Bytes of the bodies of changes (226) that were sent.
    pub(crate) change_bytes: Counter,
    pub(crate) denials: DenyCounters,
    /// Rejected by the HTTP parser.
    pub(crate) unread: UnreadRequests,
    /// Audit lines that could not be written; each of them cost its call the answer.
    pub(crate) audit_failures: Counter,
}
