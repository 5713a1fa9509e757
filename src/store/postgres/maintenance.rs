//! Statements about the database itself: its clock, whether a write would be durable, and old writers' rows. They read
//! and write no login that stays.

use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::connection::{Parameter, PooledConnection, Statement};
use super::dry_run;
use super::sql_types::Timestamptz;
use super::statements::PROBE;

/// Makes a write under this id, and checks that the table of logins keeps what is written.
pub(super) struct Probe {
    pub(super) id: String,
}

impl Statement for Probe {
    type Value = bool;

    async fn send(&self, connection: &PooledConnection) -> Result<bool, Error> {
        connection.rows(PROBE, &[(&self.id, Type::TEXT)]).await?;
        dry_run::keeps_a_login(connection).await
    }
}

/// The latest login comes from the writers, because the table of logins has no index for it.
const CLOCK: &str = "SELECT clock_timestamp(), (SELECT max(latest) FROM virksomhedslogin_writer)";

/// Reads the database's clock and the latest login.
pub(super) struct ReadClock;

impl Statement for ReadClock {
    type Value = (Timestamptz, Option<Timestamptz>);

    async fn send(&self, connection: &PooledConnection) -> Result<Self::Value, Error> {
        let row = connection.query_typed_one(CLOCK, &[]).await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    }
}

/// Two statements in one transaction, because CockroachDB rejects one that changes a table twice.
const DELETE_OLD: &str = "\
DELETE FROM virksomhedslogin_writer WHERE written < CURRENT_TIMESTAMP - INTERVAL '7 days' RETURNING batch, latest";
const INSERT_SUM: &str = "\
INSERT INTO virksomhedslogin_writer AS writer (id, batch, latest, written) VALUES ($1, $2, $3, CURRENT_TIMESTAMP)
ON CONFLICT (id) DO UPDATE
SET batch = writer.batch + excluded.batch, latest = GREATEST(writer.latest, excluded.latest), written = excluded.written";

/// Merges the rows of writers that ended long ago into one row of this id. The sum keeps the list's sequence from going
/// back, and the new id its version from coming back.
pub(super) struct CompactWriters {
    pub(super) id: String,
}

impl Statement for CompactWriters {
    type Value = ();

    async fn send(&self, connection: &PooledConnection) -> Result<(), Error> {
        connection.begin("BEGIN").await?;
        let (mut sum, mut latest) = (0_i64, None);
        let old = connection.rows(DELETE_OLD, &[]).await?;
        for row in &old {
            sum = sum.saturating_add(row.try_get(0)?);
            latest = latest.max(row.try_get::<_, Option<Timestamptz>>(1)?);
        }
        if !old.is_empty() {
            let parameters: [Parameter<'_>; 3] =
                [(&self.id, Type::TEXT), (&sum, Type::INT8), (&latest, Type::TIMESTAMPTZ)];
            connection.rows(INSERT_SUM, &parameters).await?;
        }
        connection.end("COMMIT").await
    }
}
