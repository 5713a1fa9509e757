//! The store on a database that speaks PostgreSQL's protocol, shared by several instances.
//!
//! Promises what the embedded store does: `Ok` for a write means that the database has committed it to its disk, and a
//! read queries the database, so that every instance sees at once what another has acknowledged. Caches nothing. Writers
//! need no agreement, because logins merge in any order ([`crate::domain::login_span`]): every statement may run twice.
//!
//! Statements are sent without a name, in one round trip, unless `store.prepared_statements` is set: behind a pooler that
//! shares connections by transaction (PgBouncer) a named one would be looked up on another connection.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, timeout, timeout_at};

use super::IMPORT_DEADLINE;
use super::metrics::StoreMetrics;
use super::record::Record;
use super::record_stream::PagedRecords;
use super::report::DatabaseStatus;
use super::{ClockReport, Database, OpenError, Options, Status, StoreError, StoreState};
use crate::critical_tasks::Guard;
use crate::domain::clock::{Clock, ClockLimits};
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use database::Client;
use job_queue::{Call, Queue};
use schema::Tables;
use sql_types::Timestamptz;
use statements::Writer;
use writer::{LockedRows, WriterTask};

pub(super) mod address;
mod circuit_breaker;
mod connect;
mod connection;
mod database;
mod erasure;
mod error;
mod job_queue;
mod maintenance;
mod pages;
mod reader;
mod schema;
mod sql_types;
mod statements;
pub(super) mod tls;
mod writer;

pub use address::Address;
pub(crate) use error::AddressError;
pub(crate) use tls::TlsFiles;

/// Statements that record at the same time: one waits for the disk while the next is prepared.
const WRITERS: usize = 2;
/// Statements that look companies up at the same time.
const READERS: usize = 2;
/// Connections that lists leave free: for writers and readers, and one for the probe, the clock and locked rows.
const RESERVED: usize = WRITERS + READERS + 1;
/// Threads of the store's own, because a connection outlives the worker that used it; on more than two cores: one decodes
/// a list while the other serves the rest. On two cores one alone is a tenth faster (docs/PERFORMANCE.md).
const THREADS: usize = 2;
/// How much longer than its own limit a thread waits for the store's threads.
const MARGIN: Duration = Duration::from_secs(1);
/// Between two checks whether all calls have ended.
const CLOSE_INTERVAL: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct Postgres {
    database: Arc<Client>,
    importer: Arc<WriterTask>,
    writes: mpsc::Sender<Call<Record, ()>>,
    lookups: mpsc::Sender<Call<Cvr, Option<LoginSpan>>>,
    lists: Arc<Semaphore>,
    /// One at a time, so that probes leave connections for the writers however often they are made.
    probes: Arc<Semaphore>,
    /// This process in the table of writers.
    process: String,
    deadline: Duration,
    closing: AtomicBool,
    /// Held once more by each call that waits for its answer.
    in_flight: Arc<()>,
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
}

impl Postgres {
    /// Connects and checks the tables. An unavailable database is tried again in the background; anything else is an error.
    pub(super) fn open(
        options: &Database,
        store: &Options,
        make: bool,
        metrics: Arc<StoreMetrics>,
    ) -> Result<Self, OpenError> {
        let deadline = store.deadline;
        let create = make && options.create_schema;
        let database = Arc::new(Client::new(options, deadline)?);
        let runtime = runtime(&options.address)?;
        let handle = runtime.handle().clone();
        let first = Arc::clone(&database);
        match wait(&handle, deadline + MARGIN, async move { first.check(create).await }) {
            Some(Ok(())) => log::info!("opened the store at {}", options.address),
            Some(Err(OpenError::Unavailable { reason, .. })) => database.breaker.open(&reason),
            None => database.breaker.open("no answer in time"),
            Some(Err(error)) => {
                // Not waited for, because a name look-up may hang.
                runtime.shutdown_background();
                return Err(error);
            }
        }
        let (writes, write_queue) = Queue::new(writer::CAPACITY);
        let (lookups, lookup_queue) = Queue::new(reader::CAPACITY);
        let (locked, locked_queue) = LockedRows::new(writer::CAPACITY);
        let process = uuid::Uuid::new_v4().to_string();
        let writer = |name: &str, clock| WriterTask {
            writer: Writer::new(&process, name, clock),
            database: Arc::clone(&database),
            metrics: Arc::clone(&metrics),
            deadline,
        };
        let guard = |name| store.essential.guard(name);
        for number in 0..WRITERS {
            let writer = writer(&number.to_string(), store.clock);
            let task = writer.run(Arc::clone(&write_queue), Arc::clone(&locked));
            spawn(&handle, guard("a task that writes to the database"), task);
        }
        let task = writer("locked", store.clock).run_locked(locked, locked_queue);
        spawn(&handle, guard("the task that waits for locked rows"), task);
        for _ in 0..READERS {
            let task = reader::run(Arc::clone(&database), Arc::clone(&lookup_queue), deadline);
            spawn(&handle, guard("a task that reads from the database"), task);
        }
        let task = maintain(Arc::clone(&database), create, format!("{process}/compacted"), deadline);
        spawn(&handle, guard("the task that connects to the database"), task);
        Ok(Self {
            importer: Arc::new(writer("import", ClockLimits::NONE)),
            database,
            writes,
            lookups,
            lists: Arc::new(Semaphore::new(options.connections.saturating_sub(RESERVED).max(1))),
            probes: Arc::new(Semaphore::new(1)),
            process,
            deadline,
            closing: AtomicBool::new(false),
            in_flight: Arc::default(),
            handle,
            runtime: Mutex::new(Some(runtime)),
        })
    }

    pub(super) fn unavailable(&self) -> Option<OpenError> {
        self.database.breaker.outage().map(|reason| self.database.unavailable(reason))
    }

    pub(super) async fn get(&self, cvr: Cvr) -> Result<Option<LoginSpan>, StoreError> {
        self.call(&self.lookups, cvr).await
    }

    pub(super) async fn record(&self, login: Record) -> Result<(), StoreError> {
        self.call(&self.writes, login).await
    }

    async fn call<T, A>(&self, queue: &mpsc::Sender<Call<T, A>>, request: T) -> Result<A, StoreError> {
        self.check_open()?;
        let (call, answer) = Call::new(request);
        let _in_flight = Arc::clone(&self.in_flight);
        queue.try_send(call).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Full,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closing,
        })?;
        match timeout(self.deadline, answer).await {
            Ok(answer) => answer.unwrap_or(Err(StoreError::Closing)),
            Err(_) => Err(self.timed_out()),
        }
    }

    fn check_open(&self) -> Result<(), StoreError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(StoreError::Closing);
        }
        self.database.breaker.check()
    }

    fn timed_out(&self) -> StoreError {
        StoreError::Unavailable(format!("no answer within {} s", self.deadline.as_secs()))
    }

    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        let id = format!("{}/probe", self.process);
        let probe = |database: Arc<Client>, until| async move {
            database.retry_until(until, || maintenance::probe(&database, &id)).await
        };
        let reason = "the table of logins does not keep what is written; is there a trigger?";
        let kept = self.run_alone(probe).await?;
        if kept { Ok(()) } else { Err(StoreError::Failing(reason.to_owned())) }
    }

    pub(super) async fn check_clock(&self, limits: &ClockLimits, clock: &dyn Clock) -> Option<ClockReport> {
        let sent = clock.now();
        let read = |database: Arc<Client>, until| async move {
            database.retry_until(until, || maintenance::read_clock(&database)).await
        };
        let known = self.run_alone(read).await;
        let received = clock.now();
        Some(match known {
            Ok((Timestamptz(database), latest)) => ClockReport {
                verdict: limits.compare(sent, received, database),
                latest_login: latest.map(|Timestamptz(latest)| latest),
            },
            Err(_) => ClockReport { verdict: Err(limits.check(received).err()?), latest_login: None },
        })
    }

    /// Does work on the database itself, if it is available: one at a time, and without waiting out an outage.
    async fn run_alone<T: Send + 'static, F: Future<Output = Result<T, StoreError>> + Send + 'static>(
        &self,
        work: impl FnOnce(Arc<Client>, Instant) -> F,
    ) -> Result<T, StoreError> {
        self.check_open()?;
        if let Some(reason) = self.database.breaker.outage() {
            return Err(StoreError::Unavailable(reason));
        }
        let until = Instant::now() + self.deadline;
        let permit = Arc::clone(&self.probes).acquire_owned();
        let Ok(Ok(permit)) = timeout_at(until, permit).await else {
            return Err(self.timed_out());
        };
        let work = work(Arc::clone(&self.database), until);
        // Goes on when its caller has gone, and so keeps its permit.
        self.on_threads(async move {
            let _permit = permit;
            work.await
        })
        .await
    }

    pub(super) async fn list(&self) -> Result<PagedRecords, StoreError> {
        self.check_open()?;
        self.on_threads(self.begin_list()).await
    }

    pub(super) fn list_blocking(&self) -> Result<PagedRecords, StoreError> {
        self.check_open()?;
        wait(&self.handle, self.deadline * 2 + MARGIN, self.begin_list())
            .unwrap_or_else(|| Err(self.timed_out()))
    }

    /// The list, once there is a connection for it.
    fn begin_list(&self) -> impl Future<Output = Result<PagedRecords, StoreError>> + Send + 'static {
        let (database, lists) = (Arc::clone(&self.database), Arc::clone(&self.lists));
        let (until, deadline) = (Instant::now() + self.deadline, self.deadline);
        async move {
            let permit = timeout_at(until, lists.acquire_owned()).await.map_err(|_| StoreError::Full)?;
            pages::list(database, permit.map_err(|_| StoreError::Closing)?, until, deadline).await
        }
    }

    /// Runs this on the store's threads, where the connections are.
    async fn on_threads<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.handle.spawn(work).await.unwrap_or(Err(StoreError::Closing))
    }

    pub(super) fn status(&self, metrics: &StoreMetrics) -> Status {
        let connections = self.database.pool.status();
        Status {
            records: None,
            sequence: None,
            waiting: (writer::CAPACITY - self.writes.capacity()) as u64,
            capacity: writer::CAPACITY as u64,
            takes_writes: !self.closing.load(Ordering::Acquire) && self.database.breaker.outage().is_none(),
            batches: metrics.batches.clone(),
            syncs: None,
            errors: metrics.errors(),
            database: Some(DatabaseStatus {
                open: connections.size as u64,
                idle: connections.available as u64,
                limit: connections.max_size as u64,
                retries: self.database.retries.get(),
                outages: self.database.breaker.outages(),
                writes: metrics.syncs.clone(),
            }),
        }
    }

    /// Merges these records, ascending, one a company, into the table.
    pub(super) fn import(&self, records: Vec<Record>) -> Result<u64, StoreError> {
        self.check_open()?;
        let importer = Arc::clone(&self.importer);
        let changed = wait(&self.handle, IMPORT_DEADLINE + MARGIN, async move {
            importer.record(&records, Instant::now() + IMPORT_DEADLINE).await
        });
        changed.unwrap_or_else(|| Err(self.timed_out()))
    }

    pub(super) fn close(&self) -> bool {
        self.closing.store(true, Ordering::Release);
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(runtime) = runtime.take() else { return true };
        let until = std::time::Instant::now() + self.deadline;
        let is_done = || Arc::strong_count(&self.in_flight) == 1;
        while !is_done() && std::time::Instant::now() < until {
            thread::sleep(CLOSE_INTERVAL);
        }
        let done = is_done();
        self.database.pool.close();
        runtime.shutdown_background();
        done
    }
}

/// The state of the database. Changes nothing.
pub(super) fn inspect(options: &Database, deadline: Duration) -> Result<StoreState, OpenError> {
    let database = Arc::new(Client::new(options, deadline)?);
    let runtime = runtime(&options.address)?;
    let inspected = Arc::clone(&database);
    let tables = wait(runtime.handle(), deadline + MARGIN, async move { inspected.tables(false).await });
    runtime.shutdown_background();
    match tables.unwrap_or_else(|| Err(database.unavailable("no answer in time".to_owned())))? {
        Tables::Missing { may_create } if may_create || !options.create_schema => Ok(StoreState::Absent),
        Tables::Partial { may_create: true, .. } if options.create_schema => Ok(StoreState::Absent),
        Tables::Missing { .. } => {
            let forbidden = Tables::Forbidden(schema::MAY_NOT_CREATE.to_owned());
            database.usable(forbidden).map(|()| StoreState::Absent)
        }
        tables => database.usable(tables).map(|()| StoreState::Closed),
    }
}

/// Connects again after outages, and compacts the table of writers once.
async fn maintain(database: Arc<Client>, create: bool, compacted: String, deadline: Duration) {
    let create = create && database.breaker.outage().is_some();
    let compact = async {
        database.breaker.until(false).await;
        let attempt = || maintenance::compact_writers(&database, &compacted);
        if let Err(error) = database.retry_until(Instant::now() + deadline, attempt).await {
            log::warn!("the rows of writers that ended long ago could not be merged: {error}");
        }
    };
    tokio::join!(database.reconnect(create), compact);
}

fn runtime(address: &Address) -> Result<Runtime, OpenError> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Builder::new_multi_thread()
        .worker_threads(if cores > 2 { THREADS } else { 1 })
        .thread_name("store-database")
        .enable_all()
        .build()
        .map_err(|error| OpenError::Unavailable { address: address.to_string(), reason: error.to_string() })
}

/// Runs a task that the store cannot work without.
fn spawn(handle: &Handle, guard: Guard, task: impl Future<Output = ()> + Send + 'static) {
    handle.spawn(async move {
        let _guard = guard;
        task.await;
    });
}

/// Runs this on the store's threads and blocks until it is done, also on a thread of another runtime; `None` after
/// `limit`.
fn wait<T: Send + 'static>(
    handle: &Handle,
    limit: Duration,
    work: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let (send, done) = std::sync::mpsc::sync_channel(1);
    handle.spawn(async move {
        let _ = send.send(work.await);
    });
    done.recv_timeout(limit).ok()
}

#[cfg(test)]
mod tests;
