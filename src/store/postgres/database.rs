//! Connections to the database, and statements that are sent until they are through or their time is up.

use std::future::Future;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Status, Timeouts,
};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Address;
use super::circuit_breaker::CircuitBreaker;
use super::connect::Hosts;
use super::error::DatabaseError;
use super::schema;
use super::schema::Found;
use crate::store::{Database, OpenError, StoreError};
use crate::telemetry::metrics::Counter;

/// Between two tries of a statement, growing by halves from the one to the other: a conflict is over in a moment, and a
/// server that starts wants no crowd at its door.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(250));
/// How often a database that is away is looked for. With the time that connecting may take this keeps the promise of
/// being back within five seconds of its return.
const LOOK: Duration = Duration::from_millis(500);
/// How long one look may take: name look-up, connecting to each of several hosts, and the tables.
pub(super) const LOOK_TAKES: Duration = Duration::from_secs(4);
/// How long nothing must have come back before the database counts as silent.
const SILENCE: Duration = Duration::from_millis(250);
/// How long telling the server to stop a statement may take: it is a connection of its own.
const STOP_TAKES: Duration = Duration::from_secs(2);

/// A database and our way to it.
#[derive(Debug)]
pub(super) struct Client {
    pool: Pool,
    address: Address,
    named: bool,
    pub(super) health: CircuitBreaker,
    pub(super) retries: Counter,
}

/// A connection that is closed rather than given back, unless the statement on it came to its end: nobody may be handed
/// one on which an answer is still to come.
pub(super) struct PooledConnection {
    connection: Option<Object>,
    /// Whether a transaction was begun that has not been ended.
    in_transaction: AtomicBool,
    named: bool,
    connector: MakeRustlsConnect,
}

/// A statement's parameter with its type.
pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

impl PooledConnection {
    /// Lets others have it, unless a transaction on it has not come to its end.
    pub(super) fn release(mut self) {
        if !self.in_transaction.load(Ordering::Relaxed) {
            self.connection.take();
        }
    }

    /// Begins a transaction with these statements.
    pub(super) async fn begin(&self, sql: &str) -> Result<(), Error> {
        self.in_transaction.store(true, Ordering::Relaxed);
        self.batch_execute(sql).await
    }

    /// Ends the transaction with `COMMIT` or `ROLLBACK`.
    pub(super) async fn end(&self, sql: &str) -> Result<(), Error> {
        self.batch_execute(sql).await?;
        self.in_transaction.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Sends a statement that may be prepared once for each connection, and waits for all its rows.
    pub(super) async fn rows(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Error> {
        if self.named {
            let types: Vec<Type> = parameters.iter().map(|(_, kind)| kind.clone()).collect();
            let statement = self.prepare_typed_cached(sql, &types).await?;
            let values: Vec<_> = parameters.iter().map(|(value, _)| *value).collect();
            self.query(&statement, &values).await
        } else {
            self.query_typed(sql, parameters).await
        }
    }
}

impl Deref for PooledConnection {
    type Target = ClientWrapper;

    #[expect(
        clippy::expect_used,
        reason = "the connection is taken out by what consumes the lease, and by drop"
    )]
    fn deref(&self) -> &Self::Target {
        self.connection.as_ref().expect("a lease holds its connection to the end")
    }
}

/// A statement that was given up may wait on at the server, for a lock or for a standby, without noticing that nobody
/// listens any more. So it is told to stop, and the connection is counted until that has been said.
impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        match Handle::try_current() {
            Ok(handle) if !connection.is_closed() => {
                let (stop, connector) = (connection.cancel_token(), self.connector.clone());
                handle.spawn(async move {
                    let _ = timeout(STOP_TAKES, stop.cancel_query(connector)).await;
                    drop(Object::take(connection));
                });
            }
            _ => drop(Object::take(connection)),
        }
    }
}

/// A statement, with its parameters, that may be sent more than once.
pub(super) trait Statement: Sync {
    /// What it is sent for.
    type Value;

    /// Sends it and waits for what comes back.
    fn send(&self, lease: &PooledConnection) -> impl Future<Output = Result<Self::Value, Error>> + Send;
}

impl Client {
    /// Opens nothing yet.
    pub(super) fn new(options: &Database, deadline: Duration) -> Result<Self, OpenError> {
        let address = &options.address;
        let refused = |reason: String| OpenError::Refused { address: address.to_string(), reason };
        let manager = Manager::from_connect(
            address.config().clone(),
            Hosts::of(address, deadline),
            // One that was lost is known to be; a query each time would cost every statement a round trip.
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let pool = Pool::builder(manager)
            .max_size(options.connections)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts { wait: Some(deadline), create: Some(deadline), recycle: None })
            .build()
            .map_err(|error| refused(error.to_string()))?;
        let (address, health) = (address.clone(), CircuitBreaker::unknown(deadline));
        Ok(Self { pool, address, named: options.prepared_statements, health, retries: Counter::default() })
    }

    /// Where it is.
    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// How many connections are open, may be open, and are used by nobody.
    pub(super) fn connections(&self) -> Status {
        self.pool.status()
    }

    /// A connection of one's own.
    pub(super) async fn lease(&self) -> Result<PooledConnection, DatabaseError> {
        let connection = self.pool.get().await.map_err(DatabaseError::of_pool)?;
        Ok(PooledConnection {
            connection: Some(connection),
            in_transaction: AtomicBool::new(false),
            named: self.named,
            connector: self.address.connector(),
        })
    }

    /// Runs the statement, again and again where that may help, until it is through or `until` is past.
    pub(super) async fn run<S: Statement>(
        &self,
        until: Instant,
        statement: &S,
    ) -> Result<S::Value, StoreError> {
        self.retry_until(until, || self.once(statement)).await
    }

    /// Tries again and again where that may help, until a try succeeds or `until` is past.
    pub(super) async fn retry_until<T, F: Future<Output = Result<T, DatabaseError>>>(
        &self,
        until: Instant,
        attempt: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let mut pause = PAUSES.0;
        loop {
            let began = Instant::now();
            let fault = match timeout_at(until, attempt()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(fault)) => fault,
                // Its turn came when its time was up: that says nothing of the database.
                Err(_) if began.elapsed() < SILENCE => return Err(DatabaseError::silence().told()),
                Err(_) => {
                    // Whoever fell silent on one connection may have on all: the idle ones are not tried one by one.
                    self.pool.retain(|_, _| false);
                    DatabaseError::silence()
                }
            };
            self.noticed(&fault);
            let again = Instant::now() + pause;
            if !fault.is_passing() || again >= until {
                return Err(fault.told());
            }
            self.retries.inc();
            sleep(pause).await;
            pause = (pause * 3 / 2).min(PAUSES.1);
        }
    }

    /// Runs the statement once.
    async fn once<S: Statement>(&self, statement: &S) -> Result<S::Value, DatabaseError> {
        let lease = self.lease().await?;
        match statement.send(&lease).await {
            Ok(value) => {
                lease.release();
                Ok(value)
            }
            Err(error) => {
                let fault = DatabaseError::of(&error);
                if fault.spares_connection() {
                    lease.release();
                }
                Err(fault)
            }
        }
    }

    /// Remembers what a fault says of the database.
    fn noticed(&self, fault: &DatabaseError) {
        if matches!(fault, DatabaseError::Away(_) | DatabaseError::Unusable(_) | DatabaseError::Refused(_)) {
            self.health.lost(fault.reason());
        }
    }

    /// Looks whether the database is there and its tables are ours; makes those that are missing from a store that was
    /// never whole where `create` is set.
    pub(super) async fn look(&self, create: bool) -> Result<(), OpenError> {
        let found = self.found(create).await?;
        self.judge(found)?;
        self.health.back();
        Ok(())
    }

    /// Whether tables that were found so can be used.
    pub(super) fn judge(&self, found: Found) -> Result<(), OpenError> {
        let address = self.address.to_string();
        match found {
            Found::Ours => Ok(()),
            Found::Nothing { .. } => Err(OpenError::NoTables(address)),
            Found::Partial { missing, .. } => Err(OpenError::Away {
                address,
                reason: format!(
                    "its tables are only partly there, without {missing}: create the rest as docs/POSTGRES.md shows, \
                     unless that is under way"
                ),
            }),
            Found::Foreign { found, expected } => Err(OpenError::ForeignTables { address, found, expected }),
            Found::Forbidden(reason) => Err(OpenError::Forbidden { address, reason }),
        }
    }

    /// How the tables stand.
    pub(super) async fn found(&self, create: bool) -> Result<Found, OpenError> {
        let looked = async {
            let lease = self.lease().await?;
            let found = schema::prepare(&lease, create).await.map_err(|error| DatabaseError::of(&error))?;
            lease.release();
            Ok(found)
        };
        let looked = timeout(LOOK_TAKES, looked).await.unwrap_or_else(|_| Err(DatabaseError::silence()));
        let address = || self.address.to_string();
        looked.map_err(|fault| match fault {
            DatabaseError::Refused(reason) => OpenError::Refused { address: address(), reason },
            DatabaseError::Other(reason) => OpenError::Forbidden { address: address(), reason },
            fault => OpenError::Away { address: address(), reason: fault.reason().to_owned() },
        })
    }

    /// Looks for the database whenever it is away, for as long as the process runs. `create` holds until it was there for
    /// the first time: where there was a store, no empty one is made in its place.
    pub(super) async fn keep_looking(&self, mut create: bool) {
        loop {
            self.health.until_lost().await;
            match self.look(create).await {
                Ok(()) => create = false,
                Err(error) => {
                    self.health.lost(&reason(error));
                    sleep(LOOK).await;
                }
            }
        }
    }

    /// Closes every connection that is not in use, and the others when they are given back.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// What a call is told that cannot have the database.
fn reason(error: OpenError) -> String {
    match error {
        OpenError::Away { reason, .. }
        | OpenError::Refused { reason, .. }
        | OpenError::Forbidden { reason, .. } => reason,
        other => other.to_string(),
    }
}
