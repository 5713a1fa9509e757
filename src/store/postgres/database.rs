//! The pool of connections, and statements that are retried until they succeed or their time is up. Knows the tables'
//! state, and connects again after an outage.

use std::future::Future;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};
use tokio_postgres::Config;

use super::address::Address;
use super::circuit_breaker::CircuitBreaker;
use super::connect::Hosts;
use super::connection::PooledConnection;
use super::error::{DatabaseError, Kind};
use super::schema::{self, Tables};
use crate::store::{Database, OpenError, StoreError, Version};
use crate::telemetry::metrics::Counter;

/// Between two attempts, growing by halves: a conflict is over soon, and a starting server wants no crowd.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// Between two checks during an outage: with [`CHECK_TIMEOUT`] it keeps the promise to be back within five seconds.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// For name look-up, connecting to each of several hosts, and the tables.
const CHECK_TIMEOUT: Duration = Duration::from_secs(4);
/// A shorter attempt that times out says nothing about the database.
const MIN_ATTEMPT: Duration = Duration::from_millis(250);

#[derive(Debug)]
pub(super) struct Client {
    pub(super) pool: Pool,
    pub(super) address: Address,
    prepared_statements: bool,
    pub(super) breaker: CircuitBreaker,
    pub(super) retries: Counter,
    /// Whether it reports which transaction wrote a row, as PostgreSQL does; assumed until it says otherwise.
    pub(super) has_history: AtomicBool,
    version: Mutex<Option<Version>>,
}

impl Client {
    /// Opens no connection yet.
    pub(super) fn new(options: &Database, deadline: Duration) -> Result<Self, OpenError> {
        let address = options.address.clone();
        let manager = Manager::from_connect(
            // Unused: `Hosts` has one for each host.
            Config::new(),
            Hosts::new(&address, deadline.min(CHECK_TIMEOUT)),
            // A lost connection is known to be lost; a query each time would cost every statement a round trip.
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(options.connections)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts { wait: Some(deadline), create: Some(deadline), recycle: None })
            .build()
            .map_err(|error| OpenError::Refused {
                address: address.to_string(),
                reason: error.to_string(),
            })?;
        let breaker = CircuitBreaker::new(deadline);
        let prepared_statements = options.prepared_statements;
        Ok(Self {
            pool,
            address,
            prepared_statements,
            breaker,
            retries: Counter::default(),
            has_history: AtomicBool::new(true),
            version: Mutex::default(),
        })
    }

    /// The version that named these records first, so that others' transactions leave the tag of a list as it is.
    pub(super) fn first_version(&self, version: Version) -> Version {
        let mut known = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        known.take_if(|known| !known.is_same_state(&version));
        known.get_or_insert(version).clone()
    }

    pub(super) async fn connection(&self) -> Result<PooledConnection, DatabaseError> {
        let connection = self.pool.get().await?;
        Ok(PooledConnection::new(connection, self.prepared_statements, self.address.connector()))
    }

    /// What opening fails with while the database is unavailable.
    pub(super) fn unavailable(&self, reason: String) -> OpenError {
        OpenError::Unavailable { address: self.address.to_string(), reason }
    }

    /// Retries where that may help, until an attempt succeeds or `until` is past.
    pub(super) async fn retry_until<T, F: Future<Output = Result<T, DatabaseError>>>(
        &self,
        until: Instant,
        attempt: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let mut pause = PAUSES.0;
        loop {
            let began = Instant::now();
            let error = match timeout_at(until, attempt()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => error,
                Err(_) if began.elapsed() < MIN_ATTEMPT => return Err(DatabaseError::timeout().into()),
                Err(_) => {
                    // A server that hangs on one connection may on all: the idle ones are not tried one by one.
                    self.pool.retain(|_, _| false);
                    DatabaseError::timeout()
                }
            };
            if matches!(error.kind, Kind::Unavailable | Kind::Unusable | Kind::Rejected) {
                self.breaker.open(&error.reason);
            }
            let next = Instant::now() + pause;
            if !error.is_retryable() || next >= until {
                return Err(error.into());
            }
            self.retries.inc();
            sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSES.1);
        }
    }

    /// Connects, checks the tables, and creates missing ones if `create` is set.
    pub(super) async fn check(&self, create: bool) -> Result<(), OpenError> {
        let tables = self.tables(create).await?;
        self.usable(tables)?;
        self.breaker.close();
        Ok(())
    }

    /// An error for tables that cannot be used.
    pub(super) fn usable(&self, tables: Tables) -> Result<(), OpenError> {
        let address = self.address.to_string();
        Err(match tables {
            Tables::Ours => return Ok(()),
            Tables::Missing { .. } => OpenError::NoTables(address),
            Tables::Partial { missing, .. } => self.unavailable(format!(
                "its tables are incomplete, without {missing}: create the rest as docs/POSTGRES.md shows, unless that is \
                 under way"
            )),
            Tables::Foreign { found, expected } => OpenError::ForeignTables { address, found, expected },
            Tables::Forbidden(reason) => OpenError::Forbidden { address, reason },
        })
    }

    /// The state of the tables, after creating missing ones if `create` is set.
    pub(super) async fn tables(&self, create: bool) -> Result<Tables, OpenError> {
        let prepared = async {
            let connection = self.connection().await?;
            let tables = schema::prepare(&connection, create).await;
            connection.finish(tables)
        };
        let prepared =
            timeout(CHECK_TIMEOUT, prepared).await.unwrap_or_else(|_| Err(DatabaseError::timeout()));
        prepared.map_err(|DatabaseError { kind, reason }| {
            let address = self.address.to_string();
            match kind {
                Kind::Rejected => OpenError::Refused { address, reason },
                Kind::Other => OpenError::Forbidden { address, reason },
                _ => self.unavailable(reason),
            }
        })
    }

    /// Connects again after each outage, for as long as the process runs. `create` holds until the first success: a store
    /// that was there is not replaced by an empty one. A check that waits for a silent host does not hold up the next one,
    /// which may find another host promoted.
    pub(super) async fn reconnect(&self, mut create: bool) {
        let mut checks = FuturesUnordered::new();
        loop {
            self.breaker.until(true).await;
            checks.push(self.check(create));
            let next = Instant::now() + CHECK_INTERVAL;
            while let Ok(Some(checked)) = timeout_at(next, checks.next()).await {
                let Err(error) = checked else {
                    create = false;
                    checks.clear();
                    break;
                };
                let reason = match error {
                    OpenError::Unavailable { reason, .. }
                    | OpenError::Refused { reason, .. }
                    | OpenError::Forbidden { reason, .. } => reason,
                    other => other.to_string(),
                };
                self.breaker.open(&reason);
            }
            sleep_until(next).await;
        }
    }
}
