//! The service's own metrics, in the order of docs/METRICS.md.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;

use super::encoder::MetricsEncoder;
use crate::api::Metrics;
use crate::auth;
use crate::management::state::ManagementState;
use crate::store;

/// Every number of one scrape.
#[derive(Debug)]
pub(super) struct ServiceCollector {
    metrics: Arc<Metrics>,
    auth: auth::Status,
    store: store::Status,
    store_bytes: Option<u64>,
    ready: bool,
    clock_is_wrong: bool,
    clock_behind_seconds: f64,
}

impl ServiceCollector {
    pub(super) fn of(state: &ManagementState, store_bytes: Option<u64>) -> Self {
        let api = &state.api;
        let store = api.store.status();
        let clock_is_wrong = state.clock.is_wrong();
        Self {
            metrics: Arc::clone(&api.metrics),
            auth: api.authenticator.status(),
            ready: store.takes_writes
                && api.authenticator.has_keys()
                && !clock_is_wrong
                && api.audit.ready().is_ok()
                && !state.is_stopping(),
            store,
            store_bytes,
            clock_is_wrong,
            clock_behind_seconds: state.clock.behind_seconds(),
        }
    }

    fn calls(&self, out: &mut MetricsEncoder<'_>) -> fmt::Result {
        let requests = self.metrics.requests.read().map(|(labels, count)| {
            let names = ["method", "status", "fejlkode", "organisation_type"];
            let [method, status, code, organisation] = labels;
            let values = [method, status, code, organisation];
            (std::array::from_fn::<_, 4, _>(|at| (names[at], values[at])), ConstCounter::new(count))
        });
        let by_reason = |(reason, count)| ([("reason", reason)], ConstCounter::<u64>::new(count));
        let denials = self.metrics.denials.read().map(by_reason);
        let unread = self.metrics.unread.read().map(by_reason);
        let durations = self.metrics.requests.durations().map(|(method, took)| ([("method", method)], took));
        out.family("requests", "Answers on the API's listener.", requests)?;
        out.family(
            "request_duration_seconds",
            "From a request's head to its answer being ready.",
            durations,
        )?;
        out.family("auth_denials", "Calls that were denied, by reason.", denials)?;
        out.family("unread_requests", "Requests that the HTTP parser rejected, or that timed out.", unread)?;
        out.counter(
            "audit_failures",
            "Audit lines that could not be written.",
            Some(self.metrics.audit_failures.get()),
        )
    }

    fn keys(&self, out: &mut MetricsEncoder<'_>) -> fmt::Result {
        let keys = &self.auth.keys;
        let lookups = [("hit", self.auth.cache_hits), ("miss", self.auth.cache_misses)]
            .map(|(result, count)| ([("result", result)], ConstCounter::new(count)));
        out.family("token_cache_lookups", "Tokens looked up among those verified before.", lookups)?;
        out.gauge("jwks_keys", "Keys that tokens are verified with.", Some(keys.usable_keys as u64))?;
        let age = keys.age.map(|age| age.as_secs_f64());
        out.gauge("jwks_age_seconds", "Time since the key set was last read or confirmed.", age)?;
        out.counter("jwks_refreshes", "Times that the key set was read or confirmed.", Some(keys.refreshes))?;
        out.counter("jwks_refresh_failures", "Times that the key set could not be read.", Some(keys.failures))
    }

    fn store(&self, out: &mut MetricsEncoder<'_>) -> fmt::Result {
        let store = &self.store;
        let errors = store.errors.iter().map(|(operation, kind, count)| {
            ([("operation", operation.name()), ("kind", *kind)], ConstCounter::new(*count))
        });
        out.gauge("store_records", "Companies that are known.", store.records)?;
        out.gauge("store_sequence", "Number of the last durable batch.", store.sequence)?;
        out.gauge("store_disk_bytes", "Disk space of the store's files.", self.store_bytes)?;
        out.gauge("store_writable", "1 while logins are accepted.", Some(u64::from(store.takes_writes)))?;
        out.family("store_errors", "Calls of the store that failed.", errors)?;
        out.single("commit_batch_logins", "Logins made durable together.", Some(store.batches.clone()))?;
        out.gauge("commit_queue_logins", "Logins that wait to be made durable.", Some(store.waiting))?;
        out.gauge("commit_queue_capacity_logins", "Logins that may wait.", Some(store.capacity))?;
        out.single("fsync_duration_seconds", "A flush with its fdatasync.", store.syncs.clone())
    }

    fn database(&self, out: &mut MetricsEncoder<'_>) -> fmt::Result {
        let database = self.store.database.as_ref();
        let (open, idle) = (database.map(|it| it.open), database.map(|it| it.idle));
        let (limit, retries) = (database.map(|it| it.limit), database.map(|it| it.retries));
        let writes = database.map(|it| it.writes.clone());
        out.gauge("database_connections", "Open connections to the shared database.", open)?;
        out.gauge("database_connections_idle", "Those on which no statement runs.", idle)?;
        out.gauge("database_connections_limit", "Connections that may be open.", limit)?;
        out.counter("database_retries", "Statements that were sent again.", retries)?;
        out.single("database_write_duration_seconds", "From sending logins to their commit.", writes)
    }
}

impl Collector for ServiceCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = MetricsEncoder(encoder);
        let build = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("commit", option_env!("VIRKSOMHEDSLOGIN_BUILD_COMMIT").unwrap_or("unknown")),
        ];
        out.info("build", "The running program.", &build)?;
        out.gauge("ready", "1 while the service can answer requests.", Some(u64::from(self.ready)))?;
        out.gauge(
            "clock_wrong",
            "1 while the clock is plainly wrong.",
            Some(u64::from(self.clock_is_wrong)),
        )?;
        let behind = self.clock_behind_seconds;
        out.gauge(
            "clock_behind_latest_login_seconds",
            "How far the clock is behind the latest login.",
            Some(behind),
        )?;
        self.calls(&mut out)?;
        self.keys(&mut out)?;
        self.store(&mut out)?;
        self.database(&mut out)
    }
}
