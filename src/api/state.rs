//! The state that the API is served from.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use super::denied_calls::DeniedCalls;
use super::metrics::Metrics;
use super::rate_limit::TokenBuckets;
use crate::audit::AuditLog;
use crate::auth::Authenticator;
use crate::domain::access::AccessTable;
use crate::domain::clock::SharedClock;
use crate::store::Store;

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
}
