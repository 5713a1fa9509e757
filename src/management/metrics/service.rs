//! The service's own metrics, in the order of docs/METRICS.md.

use std::fmt;

use actix_web::web;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use super::encoder::MetricsEncoder;
use crate::api::Metrics;
use crate::auth;
use crate::management::state::ManagementState;
use crate::store;

/// Reads every number when it is encoded, but for the sizes of files, which may take long.
pub(super) struct ServiceCollector {
    pub(super) state: web::Data<ManagementState>,
    pub(super) store_bytes: Option<u64>,
}

impl fmt::Debug for ServiceCollector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ServiceCollector")
    }
}

impl Collector for ServiceCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = MetricsEncoder(encoder);
        let (state, api) = (&self.state, &self.state.api);
        let (store, clock_is_wrong) = (api.store.status(), state.clock.is_wrong());
        let is_ready = store.takes_writes
            && api.authenticator.has_keys()
            && !clock_is_wrong
            && api.audit.ready().is_ok()
            && !state.is_stopping();
        let build = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("commit", option_env!("VIRKSOMHEDSLOGIN_BUILD_COMMIT").unwrap_or("unknown")),
        ];
        let descriptor = out.0.encode_descriptor("build", "The running program.", None, MetricType::Info);
        descriptor?.encode_info(&build)?;
        let (ready, wrong) = (u64::from(is_ready), u64::from(clock_is_wrong));
        out.gauge("ready", "1 while the service can answer requests.", Some(ready))?;
        out.gauge("clock_wrong", "1 while the clock is plainly wrong.", Some(wrong))?;
        let (behind, help) = (state.clock.behind_seconds(), "How far the clock is behind the latest login.");
        out.gauge("clock_behind_latest_login_seconds", help, Some(behind))?;
        calls(&mut out, &api.metrics)?;
        keys(&mut out, &api.authenticator.status())?;
        out.gauge("store_records", "Companies that are known.", store.records)?;
        out.gauge("store_sequence", "Number of the last durable batch.", store.sequence)?;
        out.gauge("store_disk_bytes", "Disk space of the store's files.", self.store_bytes)?;
        writes(&mut out, &store)?;
        database(&mut out, &store)
    }
}

fn calls(out: &mut MetricsEncoder<'_>, metrics: &Metrics) -> fmt::Result {
    let requests = metrics.requests.read().map(|([method, status, code, organisation], count)| {
        let labels =
            [("method", method), ("status", status), ("fejlkode", code), ("organisation_type", organisation)];
        (labels, ConstCounter::new(count))
    });
    let lists = [("200", &metrics.list_bytes), ("226", &metrics.change_bytes)];
    let lists = lists.map(|(status, bytes)| ([("status", status)], ConstCounter::new(bytes.get())));
    let by_reason = |(reason, count)| ([("reason", reason)], ConstCounter::<u64>::new(count));
    let durations = metrics.requests.durations().map(|(method, took)| ([("method", method)], took));
    out.family("requests", "Answers on the API's listener.", requests)?;
    out.family("request_duration_seconds", "From a request's head to its answer being ready.", durations)?;
    out.family("list_bytes", "Bytes of lists sent, as they were compressed.", lists)?;
    out.family("auth_denials", "Calls that were denied, by reason.", metrics.denials.read().map(by_reason))?;
    let help = "Requests that the HTTP parser rejected, or that timed out.";
    out.family("unread_requests", help, metrics.unread.read().map(by_reason))?;
    let failures = metrics.audit_failures.get();
    out.counter("audit_failures", "Audit lines that could not be written.", Some(failures))
}

fn keys(out: &mut MetricsEncoder<'_>, auth: &auth::Status) -> fmt::Result {
    let keys = &auth.keys;
    let lookups = [("hit", auth.cache_hits), ("miss", auth.cache_misses)]
        .map(|(result, count)| ([("result", result)], ConstCounter::new(count)));
    out.family("token_cache_lookups", "Tokens looked up among those verified before.", lookups)?;
    out.gauge("jwks_keys", "Keys that tokens are verified with.", Some(keys.usable_keys as u64))?;
    let age = keys.age.map(|age| age.as_secs_f64());
    out.gauge("jwks_age_seconds", "Time since the key set was last read or confirmed.", age)?;
    out.counter("jwks_refreshes", "Times that the key set was read or confirmed.", Some(keys.refreshes))?;
    out.counter("jwks_refresh_failures", "Times that the key set could not be read.", Some(keys.failures))
}

fn writes(out: &mut MetricsEncoder<'_>, store: &store::Status) -> fmt::Result {
    let errors = store.errors.iter().map(|(operation, kind, count)| {
        ([("operation", operation.name()), ("kind", *kind)], ConstCounter::new(*count))
    });
    out.gauge("store_writable", "1 while logins are accepted.", Some(u64::from(store.takes_writes)))?;
    out.family("store_errors", "Calls of the store that failed.", errors)?;
    out.single("commit_batch_logins", "Logins made durable together.", Some(store.batches.clone()))?;
    out.gauge("commit_queue_logins", "Logins that wait to be made durable.", Some(store.waiting))?;
    out.gauge("commit_queue_capacity_logins", "Logins that may wait.", Some(store.capacity))?;
    out.single("fsync_duration_seconds", "A flush with its fdatasync.", store.syncs.clone())
}

fn database(out: &mut MetricsEncoder<'_>, store: &store::Status) -> fmt::Result {
    let database = store.database.as_ref();
    let (open, idle) = (database.map(|it| it.open), database.map(|it| it.idle));
    let (limit, retries) = (database.map(|it| it.limit), database.map(|it| it.retries));
    let (outages, writes) = (database.map(|it| it.outages), database.map(|it| it.writes.clone()));
    out.gauge("database_connections", "Open connections to the shared database.", open)?;
    out.gauge("database_connections_idle", "Those on which no statement runs.", idle)?;
    out.gauge("database_connections_limit", "Connections that may be open.", limit)?;
    out.counter("database_retries", "Statements that were sent again.", retries)?;
    out.counter("database_outages", "Times that the database became unavailable.", outages)?;
    out.single("database_write_duration_seconds", "From sending logins to their commit.", writes)
}
