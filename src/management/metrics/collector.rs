//! What one scrape tells, in its order.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::encoder::{MetricsEncoder, NO_LABELS};
use super::process::Process;
use crate::api::metrics::Metrics;
use crate::auth;
use crate::management::ManagementState;
use crate::store;

/// The commit that the program was built from, where the build tells it.
const COMMIT: &str = match option_env!("VIRKSOMHEDSLOGIN_BUILD_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Everything that a scrape tells, read at one moment.
#[derive(Debug)]
pub(super) struct ServiceCollector {
    metrics: Arc<Metrics>,
    auth: auth::Status,
    store: store::Status,
    store_bytes: Option<u64>,
    ready: bool,
    clock_is_wrong: bool,
    clock_behind_seconds: f64,
    process: Option<Process>,
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
                && !state.lifecycle.is_stopping(),
            store,
            store_bytes,
            clock_is_wrong,
            clock_behind_seconds: state.clock.behind_seconds(),
            process: Process::look(),
        }
    }

    fn calls(&self, encoder: &mut MetricsEncoder<'_>) -> fmt::Result {
        encoder.counter(
            "virksomhedslogin_requests",
            "Requests answered on the API's listener; method - is a path or verb that no method has.",
            self.metrics.requests.read().map(|([method, status, code, organisation], count)| {
                let labels = [
                    ("method", method),
                    ("status", status),
                    ("fejlkode", code),
                    ("organisation_type", organisation),
                ];
                (labels, count)
            }),
        )?;
        encoder.histogram(
            "virksomhedslogin_request_duration_seconds",
            "Time from a request's head to its answer being ready to be sent; a list is streamed after that.",
            self.metrics.requests.durations().map(|(method, read)| ([("method", method)], read)),
        )?;
        encoder.counter(
            "virksomhedslogin_refusals",
            "Calls of a method that were refused at the door, by the rule that refused them.",
            self.metrics.denials.read().map(|(reason, count)| ([("reason", reason)], count)),
        )?;
        encoder.counter(
            "virksomhedslogin_unread_requests",
            "Requests on the API's listener that the HTTP parser refused with a bare status, or that did not arrive in time.",
            self.metrics.unread.read().map(|(reason, count)| ([("reason", reason)], count)),
        )?;
        encoder.counter(
            "virksomhedslogin_audit_failures",
            "Audit lines that could not be written; each such call was answered 503.",
            [(NO_LABELS, self.metrics.audit_failures.get())],
        )
    }

    fn keys(&self, encoder: &mut MetricsEncoder<'_>) -> fmt::Result {
        encoder.counter(
            "virksomhedslogin_token_cache_lookups",
            "Tokens looked up among those verified a moment ago.",
            [([("result", "hit")], self.auth.cache_hits), ([("result", "miss")], self.auth.cache_misses)],
        )?;
        let keys = &self.auth.keys;
        encoder.gauge(
            "virksomhedslogin_key_set_keys",
            "Keys that tokens are checked with; 0 while there is no set, or the last one is too old.",
            Some(keys.usable_keys as u64),
        )?;
        encoder.gauge(
            "virksomhedslogin_key_set_age_seconds",
            "Time since the key set was last read or confirmed; absent while there is none.",
            keys.age.map(|age| age.as_secs_f64()),
        )?;
        encoder.counter(
            "virksomhedslogin_key_set_refreshes",
            "Times that the key set was read or confirmed.",
            [(NO_LABELS, keys.refreshes)],
        )?;
        encoder.counter(
            "virksomhedslogin_key_set_refresh_failures",
            "Times that the key set could not be read or confirmed; the last good one stays.",
            [(NO_LABELS, keys.failures)],
        )
    }

    fn store(&self, encoder: &mut MetricsEncoder<'_>) -> fmt::Result {
        let store = &self.store;
        encoder.gauge(
            "virksomhedslogin_store_records",
            "Companies that are known; absent when a shared database keeps them.",
            store.records,
        )?;
        encoder.gauge(
            "virksomhedslogin_store_sequence",
            "Number of the last durable batch of changes; it never goes back, restarts included. Absent when a shared \
             database keeps them.",
            store.sequence,
        )?;
        encoder.gauge(
            "virksomhedslogin_store_disk_bytes",
            "What the store's files take on the disk; absent when they cannot be looked at.",
            self.store_bytes,
        )?;
        encoder.gauge(
            "virksomhedslogin_store_writable",
            "1 while logins are taken, 0 while the store repairs itself or is closing.",
            Some(u64::from(store.takes_writes)),
        )?;
        encoder.counter(
            "virksomhedslogin_store_errors",
            "Calls of the store that failed, by what was asked of it and why it could not be done.",
            store
                .errors
                .iter()
                .map(|(operation, kind, count)| ([("operation", operation.name()), ("kind", *kind)], *count)),
        )?;
        encoder.histogram(
            "virksomhedslogin_commit_batch_logins",
            "Logins that were made durable together.",
            [(NO_LABELS, store.batches.clone())],
        )?;
        encoder.gauge(
            "virksomhedslogin_commit_queue_logins",
            "Logins that wait to be made durable.",
            Some(store.waiting),
        )?;
        encoder.gauge(
            "virksomhedslogin_commit_queue_capacity_logins",
            "Logins that may wait; more are answered 503.",
            Some(store.capacity),
        )?;
        encoder.histogram(
            "virksomhedslogin_disk_sync_duration_seconds",
            "Time that a flush with its fdatasync took, failed ones included; absent when a shared database keeps them.",
            store.syncs.iter().map(|syncs| (NO_LABELS, syncs.clone())),
        )?;
        let database = store.database.as_ref();
        encoder.gauge(
            "virksomhedslogin_database_connections",
            "Connections to the shared database that are open; absent where there is none.",
            database.map(|database| database.open),
        )?;
        encoder.gauge(
            "virksomhedslogin_database_connections_idle",
            "Those of them on which no statement runs.",
            database.map(|database| database.idle),
        )?;
        encoder.gauge(
            "virksomhedslogin_database_connections_limit",
            "Connections to the shared database that may be open (store.connections).",
            database.map(|database| database.limit),
        )?;
        encoder.counter(
            "virksomhedslogin_database_retries",
            "Statements that were sent again, after a conflict or because the database was away.",
            database.map(|database| (NO_LABELS, database.retries)),
        )?;
        encoder.histogram(
            "virksomhedslogin_database_write_duration_seconds",
            "Time from sending logins to the shared database to their being committed, tries and failures included.",
            database.map(|database| (NO_LABELS, database.writes.clone())),
        )
    }
}

impl Collector for ServiceCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut encoder = MetricsEncoder(encoder);
        encoder.info(
            "virksomhedslogin_build",
            "The running program.",
            &[("version", env!("CARGO_PKG_VERSION")), ("commit", COMMIT)],
        )?;
        encoder.gauge(
            "virksomhedslogin_ready",
            "1 while there are keys, logins are taken, the clock is not wrong, audit lines can be written and nobody has told \
             the service to stop; unlike /readyz this writes nothing to the disk.",
            Some(u64::from(self.ready)),
        )?;
        encoder.gauge(
            "virksomhedslogin_clock_wrong",
            "1 while logins are refused because the clock is plainly wrong; looked at every ten seconds and by /readyz.",
            Some(u64::from(self.clock_is_wrong)),
        )?;
        encoder.gauge(
            "virksomhedslogin_clock_behind_latest_login_seconds",
            "How far the clock is behind the latest login of the store; 0 when it is not.",
            Some(self.clock_behind_seconds),
        )?;
        self.calls(&mut encoder)?;
        self.keys(&mut encoder)?;
        self.store(&mut encoder)?;
        self.process.as_ref().map_or(Ok(()), |process| process.write(&mut encoder))
    }
}
