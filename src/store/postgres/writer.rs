//! Recording logins: those that wait go together, in one statement that is one transaction.
//!
//! A row that somebody else has locked must not hold up the other companies of its batch. So a statement gives up after
//! [`BATCH_LOCK_TIMEOUT`], and its companies are sent again in halves that hardly wait at all, until the locked ones are
//! found. Those wait by themselves ([`super::locked_rows`]).
//!
//! The statement also leaves the writer's mark, if it changed anything: by the marks of all writers two listings are known
//! to be of the same state ([`super::pages`]). Every lane of every process has a row of its own for it, so that nobody
//! waits for another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::database::{Client, Parameter, PooledConnection, Statement};
use super::dry_run;
use super::error::is_lock_timeout;
use super::job_queue::{Call, Waiting};
use super::locked_rows::LockedRows;
use super::timestamptz::Moment;
use crate::domain::clock::{ClockLimits, ClockWindow};
use crate::domain::login_span::LoginSpan;
use crate::store::StoreError;
use crate::store::metrics::StoreMetrics;
use crate::store::record::{Record, merge_by_company};

/// How many writes may wait.
pub(super) const CAPACITY: usize = 4096;
/// How many go together at most: a few milliseconds of the server's time.
pub(super) const BATCH: usize = 2048;

/// How long a batch waits for the lock on a row: longer than the commits of other writers take, and short enough that the
/// halves are through within a second of its beginning.
const BATCH_LOCK_TIMEOUT: &str = "150ms";
/// How long the halves wait for it. A company that is taken for locked although it is only being written loses nothing.
const PART_LOCK_TIMEOUT: &str = "2ms";
/// Between two tries of an import, whose locks others may wait for.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The end of a statement: raises `synchronous_commit` for this transaction where it promises less than the disk.
macro_rules! synced {
    () => {
        "CASE WHEN current_setting('synchronous_commit') IN ('on', 'remote_apply') THEN ''
     ELSE set_config('synchronous_commit', 'on', true) END"
    };
}

/// The upsert, the mark, and what makes the commit wait for the disk where the database's setting would not.
///
/// The arrays are in the order of the companies, so that two writers take the rows' locks in the same order. A row that
/// learns nothing new is locked, which waits for whoever is changing it, but not written. The lock is part of the
/// transaction all the same: its commit waits for the standby, and with it for the earlier change of that row.
///
/// The lock timeout is set before the first row is read, and for this transaction alone.
///
/// Nothing is written when the database's clock is outside of the window in `$7` and `$8`, and the second column tells it.
/// The statement itself looks, so that no login slips in between the step of a clock and its being noticed.
pub(super) const RECORD: &str = concat!(
    "\
WITH refused AS (
    SELECT now FROM (SELECT clock_timestamp() AS now) AS clock WHERE now NOT BETWEEN $7 AND $8
), changed AS (
    INSERT INTO virksomhedslogin_login AS known (cvr_number, first_login, last_login)
    SELECT cvr_number, first_login, last_login
    FROM unnest($1::int4[], $2::timestamptz[], $3::timestamptz[]) AS sent (cvr_number, first_login, last_login)
    WHERE (SELECT set_config('lock_timeout', $9, true)) <> '' AND NOT EXISTS (SELECT 1 FROM refused)
    ON CONFLICT (cvr_number) DO UPDATE
    SET first_login = LEAST(known.first_login, excluded.first_login),
        last_login = GREATEST(known.last_login, excluded.last_login)
    WHERE known.first_login > excluded.first_login OR known.last_login < excluded.last_login
    RETURNING cvr_number
), marked AS (
    INSERT INTO virksomhedslogin_writer AS writer (id, batch, latest, written)
    SELECT $4, $5, $6, CURRENT_TIMESTAMP WHERE EXISTS (SELECT 1 FROM changed)
    ON CONFLICT (id) DO UPDATE
    SET batch = excluded.batch, latest = GREATEST(writer.latest, excluded.latest), written = excluded.written
    RETURNING id
)
SELECT (SELECT count(*) FROM changed), (SELECT now FROM refused), ",
    synced!()
);

/// A write that is committed and read back as one row, and a look at the logins.
const PROBE: &str = concat!(
    "\
WITH probed AS (
    INSERT INTO virksomhedslogin_writer (id, batch, written) VALUES ($1, 0, CURRENT_TIMESTAMP)
    ON CONFLICT (id) DO UPDATE SET written = excluded.written
    RETURNING id
)
SELECT (SELECT count(*) FROM probed), (SELECT min(cvr_number) FROM virksomhedslogin_login), ",
    synced!()
);

/// Rows of writers that are long gone are put together into one of this process. Its sum keeps the sequence from going
/// back, and the new row the marks from ever being what they were before. Two statements in one transaction:
/// CockroachDB refuses one that changes a table twice.
const TAKE_OUT: &str = "\
DELETE FROM virksomhedslogin_writer WHERE written < CURRENT_TIMESTAMP - INTERVAL '7 days' RETURNING batch, latest";
const PUT_IN: &str = "\
INSERT INTO virksomhedslogin_writer AS writer (id, batch, latest, written) VALUES ($1, $2, $3, CURRENT_TIMESTAMP)
ON CONFLICT (id) DO UPDATE
SET batch = writer.batch + excluded.batch, latest = GREATEST(writer.latest, excluded.latest), written = excluded.written";

/// A connection's worth of writing.
pub(super) struct WriterTask {
    /// The name of its mark; no other process and no other lane has it.
    id: String,
    /// How often it has sent a batch. Never the same twice under this name, so that no mark comes back; not even for a
    /// batch that is sent again: a standby that took over may lack the one before it.
    sent: AtomicI64,
    /// How far what it records may be from the database's clock.
    clock: ClockLimits,
}

impl WriterTask {
    pub(super) fn new(process: &str, name: &str, clock: ClockLimits) -> Self {
        Self { id: format!("{process}/{name}"), sent: AtomicI64::new(0), clock }
    }

    /// Records what waits, until nobody can send any more.
    pub(super) async fn run(
        self,
        database: Arc<Client>,
        meters: Arc<StoreMetrics>,
        waiting: Waiting<Record, ()>,
        locked: Arc<LockedRows>,
        deadline: Duration,
    ) {
        let mut writes = Vec::with_capacity(BATCH);
        while waiting.take(&mut writes, BATCH).await {
            meters.batches.observe(writes.len() as f64);
            let until = Instant::now() + deadline;
            let writes = locked.put_aside_known(writes.drain(..));
            self.record_in_parts(&database, &meters, writes, &locked, until).await;
        }
    }

    /// Records these calls in one statement, or in several when somebody has locked a row of theirs.
    async fn record_in_parts(
        &self,
        database: &Client,
        meters: &StoreMetrics,
        writes: Vec<Call<Record, ()>>,
        locked: &LockedRows,
        until: Instant,
    ) {
        let mut parts = vec![writes];
        let mut lock_timeout = BATCH_LOCK_TIMEOUT;
        while let Some(mut part) = parts.pop() {
            part.retain(Call::is_awaited);
            let mut records: Vec<_> = part.iter().map(|write| write.asked).collect();
            merge_by_company(&mut records);
            if records.is_empty() {
                continue;
            }
            match self.record_once_free(database, meters, &records, lock_timeout, until).await {
                Ok(None) if records.len() > 1 => {
                    lock_timeout = PART_LOCK_TIMEOUT;
                    let middle = records[records.len() / 2].cvr;
                    let (upper, lower) = part.into_iter().partition(|write| write.asked.cvr >= middle);
                    parts.extend([upper, lower]);
                }
                Ok(None) => locked.put_aside(part),
                answer => {
                    for write in part {
                        write.tell(answer.clone().map(drop));
                    }
                }
            }
        }
    }

    /// Merges these records into the table and says how many of them were news. They must be ascending, one a company.
    /// Waits for locked rows until its time is up, and leaves the others alone in between.
    pub(super) async fn record(
        &self,
        database: &Client,
        meters: &StoreMetrics,
        records: &[Record],
        until: Instant,
    ) -> Result<u64, StoreError> {
        loop {
            let done = self.record_once_free(database, meters, records, BATCH_LOCK_TIMEOUT, until).await?;
            match done {
                Some(changed) => return Ok(changed),
                None if Instant::now() < until => tokio::time::sleep(LOCK_PAUSE).await,
                None => return Err(StoreError::Failing("a row is locked by somebody else".to_owned())),
            }
        }
    }

    /// The same, once: nothing when one of the rows was locked for longer than this.
    pub(super) async fn record_once_free(
        &self,
        database: &Client,
        meters: &StoreMetrics,
        records: &[Record],
        lock_timeout: &str,
        until: Instant,
    ) -> Result<Option<u64>, StoreError> {
        let sent = Instant::now();
        let batch = Batch::new(self, records, lock_timeout);
        let answer = database.run(until, &batch).await;
        meters.syncs.observe(sent.elapsed().as_secs_f64());
        match (answer?, batch.window) {
            (Some((_, Some(Moment(database)))), Some(window)) => Err(window.missed(database).into()),
            (done, _) => Ok(done.map(|(changed, _)| changed.unsigned_abs())),
        }
    }
}

/// Companies with their logins, as the statement has them.
pub(super) struct Batch<'a> {
    companies: Vec<i32>,
    firsts: Vec<Moment>,
    lasts: Vec<Moment>,
    lane: &'a WriterTask,
    latest: Option<Moment>,
    window: Option<ClockWindow>,
    lock_timeout: &'a str,
}

impl<'a> Batch<'a> {
    pub(super) fn new(lane: &'a WriterTask, records: &[Record], lock_timeout: &'a str) -> Self {
        let span = records.iter().map(|record| record.login).reduce(LoginSpan::merge);
        Self {
            companies: records.iter().map(|record| record.cvr.number().cast_signed()).collect(),
            firsts: records.iter().map(|record| Moment(record.login.first())).collect(),
            lasts: records.iter().map(|record| Moment(record.login.last())).collect(),
            lane,
            latest: span.map(|span| Moment(span.last())),
            window: span.and_then(|span| lane.clock.window(span.first(), span.last())),
            lock_timeout,
        }
    }

    /// Sends it and says how many companies it changed, and what the database's clock shows when that is outside of the
    /// window: nothing is changed then.
    pub(super) async fn record(&self, lease: &PooledConnection) -> Result<(i64, Option<Moment>), Error> {
        let mark = self.lane.sent.fetch_add(1, Ordering::Relaxed) + 1;
        let (opens, closes) =
            self.window.map(|window| (Moment(window.opens()), Moment(window.closes()))).unzip();
        let parameters: [Parameter<'_>; 9] = [
            (&self.companies, Type::INT4_ARRAY),
            (&self.firsts, Type::TIMESTAMPTZ_ARRAY),
            (&self.lasts, Type::TIMESTAMPTZ_ARRAY),
            (&self.lane.id, Type::TEXT),
            (&mark, Type::INT8),
            (&self.latest, Type::TIMESTAMPTZ),
            (&opens, Type::TIMESTAMPTZ),
            (&closes, Type::TIMESTAMPTZ),
            (&self.lock_timeout, Type::TEXT),
        ];
        let rows = lease.rows(RECORD, &parameters).await?;
        rows.first().map_or(Ok((0, None)), |row| Ok((row.try_get(0)?, row.try_get(1)?)))
    }
}

impl Statement for Batch<'_> {
    /// Nothing when a row was locked for too long.
    type Value = Option<(i64, Option<Moment>)>;

    async fn send(&self, lease: &PooledConnection) -> Result<Self::Value, Error> {
        match self.record(lease).await {
            Err(error) if is_lock_timeout(&error) => Ok(None),
            done => done.map(Some),
        }
    }
}

/// Whether a write would be durable now: one is made, under this name. And whether the tables take a login.
pub(super) struct Probe {
    pub(super) id: String,
}

impl Statement for Probe {
    /// Whether the table of logins keeps what is written.
    type Value = bool;

    async fn send(&self, lease: &PooledConnection) -> Result<bool, Error> {
        lease.rows(PROBE, &[(&self.id, Type::TEXT)]).await?;
        dry_run::keeps_a_login(lease).await
    }
}

/// Puts the marks of writers that are long gone together under this name.
pub(super) struct CompactWriters {
    pub(super) id: String,
}

impl Statement for CompactWriters {
    type Value = ();

    async fn send(&self, lease: &PooledConnection) -> Result<(), Error> {
        lease.begin("BEGIN").await?;
        let (mut batches, mut latest) = (0_i64, None);
        let gone = lease.rows(TAKE_OUT, &[]).await?;
        for row in &gone {
            batches = batches.saturating_add(row.try_get(0)?);
            latest = latest.max(row.try_get::<_, Option<Moment>>(1)?.map(|Moment(moment)| moment));
        }
        if !gone.is_empty() {
            let latest = latest.map(Moment);
            let parameters: [Parameter<'_>; 3] =
                [(&self.id, Type::TEXT), (&batches, Type::INT8), (&latest, Type::TIMESTAMPTZ)];
            lease.rows(PUT_IN, &parameters).await?;
        }
        lease.end("COMMIT").await
    }
}
