//! The store on a database that speaks PostgreSQL's protocol, for several instances at once.
//!
//! The same promises as the embedded store: a write is answered `Ok` when the database has committed it to its disk; a
//! read asks the database, so that what one instance has acknowledged every instance reads at once. Nothing is kept in
//! this process. No two writers need to agree on anything, because a login is a lattice ([`crate::domain::login`]):
//! every statement may run twice, in any order, beside any other.
//!
//! | module | is for |
//! |---|---|
//! | `address`, `tls` | the connection string, and the certificate behind it |
//! | `connect` | one host after another |
//! | `database` | connections, and statements that are tried again |
//! | `health` | whether the database is there |
//! | `schema` | the tables |
//! | `clock` | the database's own clock, and the latest login |
//! | `dry_run` | whether the tables take the statements |
//! | `calls`, `writer`, `reader` | logins that are recorded and looked up together |
//! | `locked_rows` | logins that wait for a row that somebody else has locked |
//! | `pages` | the list |
//! | `fault`, `moment` | the database's errors and moments, in our terms |
//! | `threads` | who does the work |
//!
//! Statements are sent without a name, prepared and run in one round trip, unless `store.prepared_statements` says
//! otherwise: behind a pool of connections that is shared by transaction (PgBouncer) a named one would be looked for on
//! another connection. Work runs on threads of its own, so that a connection outlives the worker that used it.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use super::metrics::{DatabaseStatus, Operation, StoreMetrics};
use super::record::{Record, merge_by_company};
use super::record_stream::Fetched;
use super::{ClockReport, Database, Imported, OpenError, Options, Status, StoreError, StoreState};
use crate::domain::clock::{Clock, ClockLimits};
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use clock::Times;
use database::{Client, Statement};
use job_queue::Call;
use locked_rows::LockedRows;
use runtime::{runtime, spawn, wait};
use schema::Found;
use writer::{CompactWriters, Probe, WriterTask};

mod address;
mod circuit_breaker;
mod clock;
mod connect;
mod database;
mod dry_run;
mod error;
mod job_queue;
mod locked_rows;
mod pages;
mod reader;
mod runtime;
mod schema;
mod timestamptz;
mod tls;
mod writer;

pub use address::Address;
pub(crate) use address::AddressError;

/// Statements that record at the same time: while one waits for the disk the next is being made.
const WRITERS: usize = 2;
/// Statements that look companies up at the same time.
const READERS: usize = 2;
/// Connections that lists leave to everybody else: those of the lanes, and one for the probe, the look-out and the writes
/// that wait for a locked row.
const RESERVED: usize = WRITERS + READERS + 1;
/// How long one batch of an import may take: nobody waits at the other end.
const IMPORT_DEADLINE: Duration = Duration::from_secs(60);
/// How much longer than its own limit a thread waits for the store's threads.
const MARGIN: Duration = Duration::from_secs(1);
/// Between two looks whether everything that waited is done.
const CLOSING_LOOK: Duration = Duration::from_millis(5);

/// An open store on a database.
pub struct Postgres {
    database: Arc<Client>,
    meters: Arc<StoreMetrics>,
    writes: mpsc::Sender<Call<Record, ()>>,
    lookups: mpsc::Sender<Call<Cvr, Option<LoginSpan>>>,
    lists: Arc<Semaphore>,
    /// One probe at a time: they must not take the lanes' connections, however often somebody asks.
    probes: Arc<Semaphore>,
    /// The name of this process in the writers' table.
    process: String,
    deadline: Duration,
    clock: ClockLimits,
    closing: AtomicBool,
    /// Calls that wait for their answer.
    in_hand: AtomicUsize,
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Postgres({})", self.database.address())
    }
}

impl Postgres {
    /// Looks for the database and its tables. One that is away is looked for until it is there; whatever else is wrong is
    /// an error.
    pub(super) fn open(options: &Database, store: &Options, make: bool) -> Result<Self, OpenError> {
        let (address, create, deadline) = (&options.address, make && options.create_schema, store.deadline);
        let database = Arc::new(Client::new(options, deadline)?);
        let runtime = runtime(address)?;
        let handle = runtime.handle().clone();
        let process = uuid::Uuid::new_v4().to_string();
        let looked = wait(&handle, deadline + MARGIN, {
            let database = Arc::clone(&database);
            async move { database.look(create).await }
        });
        match looked {
            Some(Ok(())) => log::info!("opened the store at {address}"),
            Some(Err(OpenError::Away { reason, .. })) => database.health.lost(&reason),
            Some(Err(error)) => {
                // Not waited for: a name look-up that hangs would hold the end up.
                runtime.shutdown_background();
                return Err(error);
            }
            None => database.health.lost("no answer in time"),
        }
        let create = create && database.health.is_away();
        let meters = Arc::new(StoreMetrics::default());
        let (writes, waiting_writes) = job_queue::queue(writer::CAPACITY);
        let (lookups, waiting_questions) = job_queue::queue(reader::CAPACITY);
        let essential = &store.essential;
        let (locked, put_aside) = LockedRows::new();
        let work = locked_rows::run(
            Arc::clone(&locked),
            put_aside,
            WriterTask::new(&process, "locked", store.clock),
            Arc::clone(&database),
            Arc::clone(&meters),
            deadline,
        );
        spawn(&handle, essential.guard("the task that waits for locked rows"), work);
        for number in 0..WRITERS {
            let lane = WriterTask::new(&process, &number.to_string(), store.clock);
            let work = lane.run(
                Arc::clone(&database),
                Arc::clone(&meters),
                waiting_writes.clone(),
                Arc::clone(&locked),
                deadline,
            );
            spawn(&handle, essential.guard("a task that writes to the database"), work);
        }
        for _ in 0..READERS {
            let work = reader::run(Arc::clone(&database), waiting_questions.clone(), deadline);
            spawn(&handle, essential.guard("a task that reads from the database"), work);
        }
        let fold = CompactWriters { id: format!("{process}/folded") };
        let work = keep(Arc::clone(&database), create, fold, deadline);
        spawn(&handle, essential.guard("the task that looks for the database"), work);
        let lists = Arc::new(Semaphore::new(options.connections.saturating_sub(RESERVED).max(1)));
        Ok(Self {
            database,
            meters,
            writes,
            lookups,
            lists,
            probes: Arc::new(Semaphore::new(1)),
            process,
            deadline,
            clock: store.clock,
            closing: AtomicBool::new(false),
            in_hand: AtomicUsize::new(0),
            handle,
            runtime: Mutex::new(Some(runtime)),
        })
    }

    pub(super) fn away(&self) -> Option<OpenError> {
        let address = self.database.address().to_string();
        self.database.health.absence().map(|reason| OpenError::Away { address, reason })
    }

    pub(super) async fn get(&self, cvr: Cvr) -> Result<Option<LoginSpan>, StoreError> {
        let found = self.ask(&self.lookups, cvr).await;
        self.meters.answered(Operation::Get, &found);
        found
    }

    pub(super) async fn record(&self, cvr: Cvr, at: Timestamp) -> Result<(), StoreError> {
        let done = match self.clock.check(at) {
            Ok(()) => self.ask(&self.writes, Record { cvr, login: LoginSpan::at(at) }).await,
            Err(wrong) => Err(wrong.into()),
        };
        self.meters.answered(Operation::Record, &done);
        done
    }

    /// Puts a call to the lanes and waits for its answer.
    async fn ask<T, A>(&self, lanes: &mpsc::Sender<Call<T, A>>, asked: T) -> Result<A, StoreError> {
        self.enqueue()?;
        let (call, answered) = Call::new(asked);
        let _in_hand = InHand::count(&self.in_hand);
        lanes.try_send(call).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Full,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closing,
        })?;
        match tokio::time::timeout(self.deadline, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Closing),
            Err(_) => Err(self.silence()),
        }
    }

    fn enqueue(&self) -> Result<(), StoreError> {
        if self.closing.load(Ordering::Acquire) {
            return Err(StoreError::Closing);
        }
        self.database.health.enqueue()
    }

    fn silence(&self) -> StoreError {
        StoreError::Away(format!("no answer within {} s", self.deadline.as_secs()))
    }

    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        let ready = self.probe().await;
        self.meters.answered(Operation::Probe, &ready);
        ready
    }

    async fn probe(&self) -> Result<(), StoreError> {
        if self.inquire(Probe { id: format!("{}/probe", self.process) }).await? {
            return Ok(());
        }
        Err(StoreError::Failing(
            "the table of logins does not keep what is written; is there a trigger?".to_owned(),
        ))
    }

    pub(super) async fn check_clock(&self, clock: &dyn Clock) -> Option<ClockReport> {
        let sent = clock.now();
        let known = self.inquire(Times).await.unwrap_or_default();
        let received = clock.now();
        let verdict = match known.now {
            Some(database) => self.clock.compare(sent, received, database),
            None => Err(self.clock.check(received).err()?),
        };
        Some(ClockReport { verdict, latest_login: known.latest_login })
    }

    /// Runs a statement about the database itself, when it is there, and none beside it.
    async fn inquire<S>(&self, statement: S) -> Result<S::Value, StoreError>
    where
        S: Statement<Value: Send> + Send + 'static,
    {
        self.enqueue()?;
        // Callers are given time in which it may come back; who asks whether it is there is told that it is not.
        if let Some(reason) = self.database.health.absence() {
            return Err(StoreError::Away(reason));
        }
        let until = Instant::now() + self.deadline;
        let turn = Arc::clone(&self.probes).acquire_owned();
        let Ok(Ok(turn)) = tokio::time::timeout_at(until, turn).await else {
            return Err(self.silence());
        };
        let database = Arc::clone(&self.database);
        // It goes on when its caller does not wait for it, and so keeps its turn.
        self.on_threads(async move {
            let _turn = turn;
            database.run(until, &statement).await
        })
        .await
    }

    pub(super) async fn list(&self) -> Result<Fetched, StoreError> {
        let listed = match self.enqueue() {
            Ok(()) => self.on_threads(self.listing()).await,
            Err(error) => Err(error),
        };
        self.meters.answered(Operation::List, &listed);
        listed
    }

    pub(super) fn list_blocking(&self) -> Result<Fetched, StoreError> {
        self.enqueue()?;
        wait(&self.handle, self.deadline * 2 + MARGIN, self.listing()).unwrap_or_else(|| Err(self.silence()))
    }

    /// The list of this moment, once there is a connection for it.
    fn listing(&self) -> impl Future<Output = Result<Fetched, StoreError>> + Send + 'static {
        let (database, lists) = (Arc::clone(&self.database), Arc::clone(&self.lists));
        let (until, deadline) = (Instant::now() + self.deadline, self.deadline);
        async move {
            let permit = match tokio::time::timeout_at(until, lists.acquire_owned()).await {
                Ok(permit) => permit.map_err(|_| StoreError::Closing)?,
                Err(_) => return Err(StoreError::Full),
            };
            pages::list(database, permit, until, deadline).await
        }
    }

    /// Runs this on the store's threads, where the connections are.
    async fn on_threads<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.handle.spawn(work).await.unwrap_or(Err(StoreError::Closing))
    }

    pub(super) fn status(&self) -> Status {
        let connections = self.database.connections();
        Status {
            records: None,
            sequence: None,
            waiting: (writer::CAPACITY - self.writes.capacity()) as u64,
            capacity: writer::CAPACITY as u64,
            takes_writes: !self.closing.load(Ordering::Acquire) && !self.database.health.is_away(),
            batches: self.meters.batches.clone(),
            syncs: None,
            errors: self.meters.errors(),
            database: Some(DatabaseStatus {
                open: connections.size as u64,
                idle: connections.available as u64,
                limit: connections.max_size as u64,
                retries: self.database.retries.get(),
                writes: self.meters.syncs.clone(),
            }),
        }
    }

    pub(super) fn import(
        &self,
        records: impl IntoIterator<Item = Record>,
        mut progress: impl FnMut(u64),
    ) -> Result<Imported, StoreError> {
        self.enqueue()?;
        let mut records = records.into_iter();
        let mut imported = Imported::default();
        // A name that no import had before: the marks of this one begin at 1 again.
        let name = format!("import-{}", uuid::Uuid::new_v4());
        let mut lane = WriterTask::new(&self.process, &name, ClockLimits::NONE);
        loop {
            let mut batch: Vec<_> = records.by_ref().take(writer::BATCH).collect();
            if batch.is_empty() {
                return Ok(imported);
            }
            imported.read += batch.len() as u64;
            merge_by_company(&mut batch);
            let (database, meters) = (Arc::clone(&self.database), Arc::clone(&self.meters));
            let done = wait(&self.handle, IMPORT_DEADLINE + MARGIN, async move {
                let until = Instant::now() + IMPORT_DEADLINE;
                let changed = lane.record(&database, &meters, &batch, until).await;
                (lane, changed)
            });
            let changed;
            (lane, changed) = done.ok_or_else(|| self.silence())?;
            imported.changed += changed?;
            progress(imported.read);
        }
    }

    pub(super) fn close(&self) -> bool {
        self.closing.store(true, Ordering::Release);
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(runtime) = runtime.take() else { return true };
        let until = std::time::Instant::now() + self.deadline;
        let waits = || self.in_hand.load(Ordering::Acquire) > 0;
        while waits() && std::time::Instant::now() < until {
            thread::sleep(CLOSING_LOOK);
        }
        let done = !waits();
        self.database.close();
        runtime.shutdown_background();
        done
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.close();
    }
}

/// A call that waits for its answer, for as long as this lives.
struct InHand<'a>(&'a AtomicUsize);

impl<'a> InHand<'a> {
    fn count(calls: &'a AtomicUsize) -> Self {
        calls.fetch_add(1, Ordering::AcqRel);
        Self(calls)
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How the database stands; changes nothing.
pub(super) fn inspect(options: &Database, deadline: Duration) -> Result<StoreState, OpenError> {
    let address = &options.address;
    let database = Arc::new(Client::new(options, deadline)?);
    let runtime = runtime(address)?;
    let looking = Arc::clone(&database);
    let found = wait(runtime.handle(), deadline + MARGIN, async move { looking.found(false).await });
    runtime.shutdown_background();
    let address = address.to_string();
    let Some(found) = found else {
        return Err(OpenError::Away { address, reason: "no answer in time".to_owned() });
    };
    match found? {
        Found::Nothing { may_create } if may_create || !options.create_schema => Ok(StoreState::Absent),
        Found::Partial { may_create: true, .. } if options.create_schema => Ok(StoreState::Absent),
        Found::Nothing { .. } => {
            Err(OpenError::Forbidden { address, reason: schema::MAY_NOT_CREATE.to_owned() })
        }
        found => database.judge(found).map(|()| StoreState::Closed),
    }
}

/// Watches over the database, and tidies up once it is there.
async fn keep(database: Arc<Client>, create: bool, fold: CompactWriters, deadline: Duration) {
    let tidy = async {
        while database.health.is_away() {
            tokio::time::sleep(MARGIN).await;
        }
        if let Err(error) = database.run(Instant::now() + deadline, &fold).await {
            log::warn!("the rows of writers that are long gone could not be put together: {error}");
        }
    };
    tokio::join!(database.keep_looking(create), tidy);
}

#[cfg(test)]
mod tests;
