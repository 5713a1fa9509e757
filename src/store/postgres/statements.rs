//! The statements on the tables of logins and writers, as docs/POSTGRES.md prints them, and the parameters of the upsert.
//! Retries nothing, and waits for a lock no longer than the lock timeout.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::connection::{Parameter, PooledConnection};
use super::sql_types::Timestamptz;
use crate::domain::clock::{ClockLimits, WrongClock};
use crate::domain::login_span::LoginSpan;
use crate::store::Record;

/// The end of a statement: raises `synchronous_commit` for this transaction where the setting promises less than the disk.
macro_rules! synced {
    () => {
        "CASE WHEN current_setting('synchronous_commit') IN ('on', 'remote_apply') THEN ''
     ELSE set_config('synchronous_commit', 'on', true) END"
    };
}

/// The upsert, the writer's row, and what makes the commit wait for the disk.
///
/// The arrays are ordered by company, so that two writers lock rows in the same order. A row that does not change is
/// locked but not written; the commit then waits for the standby as well, and so for an earlier change of that row.
/// The lock timeout is set before the first row is read, for this transaction only.
///
/// Nothing is written while the database's clock is outside of `$7` to `$8`; the second column is that clock. The statement
/// itself checks it, so that no login is written between the step of a clock and its discovery.
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

/// A write that is committed and read back as one row, and a look-up in the logins.
pub(super) const PROBE: &str = concat!(
    "\
WITH probed AS (
    INSERT INTO virksomhedslogin_writer (id, batch, written) VALUES ($1, 0, CURRENT_TIMESTAMP)
    ON CONFLICT (id) DO UPDATE SET written = excluded.written
    RETURNING id
)
SELECT (SELECT count(*) FROM probed), (SELECT min(cvr_number) FROM virksomhedslogin_login), ",
    synced!()
);

pub(super) const LOOK_UP: &str = "\
SELECT cvr_number, first_login, last_login FROM virksomhedslogin_login WHERE cvr_number = ANY($1)";

/// Locks the rows of an erasure, in the order in which writers lock theirs.
pub(super) const LOCK: &str = "\
SELECT cvr_number FROM virksomhedslogin_login
WHERE cvr_number = ANY($1) AND ($2::timestamptz IS NULL OR last_login < $2) ORDER BY cvr_number FOR UPDATE";
/// Deletes the locked rows, and changes the row to which the history of the list is bound. That row never grows old, because
/// a build that knows of no erasures would combine it with the rows of old writers.
pub(super) const ERASE: &str = concat!(
    "\
WITH erased AS (
    DELETE FROM virksomhedslogin_login WHERE cvr_number = ANY($1) RETURNING cvr_number
), marked AS (
    INSERT INTO virksomhedslogin_writer AS writer (id, batch, written) VALUES ('erased', 1, '9999-12-31Z')
    ON CONFLICT (id) DO UPDATE SET batch = writer.batch + 1, written = excluded.written
    RETURNING id
)
SELECT (SELECT count(*) FROM erased), (SELECT count(*) FROM marked), ",
    synced!()
);

/// Portable; the server's default may promise less.
pub(super) const BEGIN_LIST: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
/// Reads the table of logins as well, so that an error about it comes before the answer has begun, and it stays locked
/// against removal.
pub(super) const WRITERS: &str = "\
SELECT id, batch, latest, (SELECT min(cvr_number) FROM virksomhedslogin_login) FROM virksomhedslogin_writer
WHERE batch > 0";
pub(super) const NEXT_PAGE: &str = "\
SELECT cvr_number, first_login, last_login FROM virksomhedslogin_login
WHERE cvr_number > $1 ORDER BY cvr_number LIMIT $2";

/// Where a snapshot stands in the history of the tables: its oldest transaction that is still running, how many have begun
/// since, how many since the last one that changed logins, and what a history is bound to. PostgreSQL 13 and later.
pub(super) const HISTORY: &str = "\
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8, age(pg_snapshot_xmin(pg_current_snapshot())::xid),
    (SELECT min(age(xmin)) FROM virksomhedslogin_writer WHERE batch > 0 AND age(xmin) >= 0),
    concat_ws('/', (SELECT system_identifier FROM pg_control_system()), pg_relation_filenode('virksomhedslogin_login'),
        (SELECT oid FROM pg_database WHERE datname = current_database()), left(pg_walfile_name(pg_current_wal_lsn()), 8),
        (SELECT batch FROM virksomhedslogin_writer WHERE id = 'erased'))";
/// The rows that so many of the last transactions wrote.
pub(super) const CHANGES: &str = "\
SELECT cvr_number, first_login, last_login FROM virksomhedslogin_login WHERE age(xmin) <= $1 ORDER BY cvr_number";

#[derive(Debug)]
pub(super) struct Writer {
    /// Its key, which no other task of any process uses.
    id: String,
    /// The number of its latest batch. It grows even when a batch is sent again, because a standby that took over may lack
    /// the one before.
    batch: AtomicI64,
    /// How far the logins may be from the database's clock.
    clock: ClockLimits,
}

impl Writer {
    pub(super) fn new(process: &str, name: &str, clock: ClockLimits) -> Self {
        Self { id: format!("{process}/{name}"), batch: AtomicI64::new(0), clock }
    }

    /// Merges records, ascending, one a company, into the table. Returns how many companies changed; none when the
    /// database's clock is wrong.
    pub(super) async fn record(
        &self,
        connection: &PooledConnection,
        records: &[Record],
        lock_timeout: &str,
    ) -> Result<Result<u64, WrongClock>, Error> {
        let companies: Vec<_> = records.iter().map(|record| record.cvr.number().cast_signed()).collect();
        let firsts: Vec<_> = records.iter().map(|record| Timestamptz(record.login.first())).collect();
        let lasts: Vec<_> = records.iter().map(|record| Timestamptz(record.login.last())).collect();
        let batch = self.batch.fetch_add(1, Ordering::Relaxed) + 1;
        let span = records.iter().map(|record| record.login).reduce(LoginSpan::merge);
        let latest = span.map(|span| Timestamptz(span.last()));
        let window = span.and_then(|span| self.clock.window(span.first(), span.last()));
        let (opens, closes) =
            window.map(|window| (Timestamptz(window.opens), Timestamptz(window.closes))).unzip();
        let parameters: [Parameter<'_>; 9] = [
            (&companies, Type::INT4_ARRAY),
            (&firsts, Type::TIMESTAMPTZ_ARRAY),
            (&lasts, Type::TIMESTAMPTZ_ARRAY),
            (&self.id, Type::TEXT),
            (&batch, Type::INT8),
            (&latest, Type::TIMESTAMPTZ),
            (&opens, Type::TIMESTAMPTZ),
            (&closes, Type::TIMESTAMPTZ),
            (&lock_timeout, Type::TEXT),
        ];
        let rows = connection.rows(RECORD, &parameters).await?;
        let Some(row) = rows.first() else { return Ok(Ok(0)) };
        let (changed, clock): (i64, Option<Timestamptz>) = (row.try_get(0)?, row.try_get(1)?);
        Ok(match (clock, window) {
            (Some(Timestamptz(clock)), Some(window)) => Err(window.missed(clock)),
            _ => Ok(changed.unsigned_abs()),
        })
    }
}
