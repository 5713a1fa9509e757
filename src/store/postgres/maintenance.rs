//! Statements about the database itself: its clock, whether a write would be durable, and old writers' rows. They read
//! and write no login that stays.

use tokio_postgres::types::Type;

use super::connection::Parameter;
use super::database::Client;
use super::error::DatabaseError;
use super::schema::keeps_a_login;
use super::sql_types::Timestamptz;
use super::statements::PROBE;

/// Makes a write under this id, and checks that the table of logins keeps what is written.
pub(super) async fn probe(database: &Client, id: &str) -> Result<bool, DatabaseError> {
    let connection = database.connection().await?;
    let kept = match connection.rows(PROBE, &[(&id, Type::TEXT)]).await {
        Ok(_) => keeps_a_login(&connection).await,
        Err(error) => Err(error),
    };
    connection.finish(kept)
}

/// The database's clock and the latest login, which comes from the writers, because the table of logins has no index for it.
pub(super) async fn read_clock(
    database: &Client,
) -> Result<(Timestamptz, Option<Timestamptz>), DatabaseError> {
    const SQL: &str = "SELECT clock_timestamp(), (SELECT max(latest) FROM virksomhedslogin_writer)";
    let connection = database.connection().await?;
    let row = connection.query_typed_one(SQL, &[]).await;
    connection.finish(row.and_then(|row| Ok((row.try_get(0)?, row.try_get(1)?))))
}

/// Not the row of erasures, whose number must never be given out again. Two statements in one transaction, because not every
/// database accepts one that changes a table twice.
const DELETE_OLD: &str = "\
DELETE FROM virksomhedslogin_writer WHERE written < CURRENT_TIMESTAMP - INTERVAL '7 days' AND id <> 'erased'
RETURNING batch, latest";
const INSERT_SUM: &str = "\
INSERT INTO virksomhedslogin_writer AS writer (id, batch, latest, written) VALUES ($1, $2, $3, CURRENT_TIMESTAMP)
ON CONFLICT (id) DO UPDATE
SET batch = writer.batch + excluded.batch, latest = GREATEST(writer.latest, excluded.latest), written = excluded.written";

/// Merges the rows of writers that ended long ago into one row of this id. The sum keeps the list's sequence from going
/// back, and the new id its version from coming back.
pub(super) async fn compact_writers(database: &Client, id: &str) -> Result<(), DatabaseError> {
    let connection = database.connection().await?;
    connection.begin("BEGIN").await?;
    let (mut sum, mut latest) = (0_i64, None);
    let old = connection.rows(DELETE_OLD, &[]).await?;
    for row in &old {
        sum = sum.saturating_add(row.try_get(0)?);
        latest = latest.max(row.try_get::<_, Option<Timestamptz>>(1)?);
    }
    if !old.is_empty() {
        let parameters: [Parameter<'_>; 3] =
            [(&id, Type::TEXT), (&sum, Type::INT8), (&latest, Type::TIMESTAMPTZ)];
        connection.rows(INSERT_SUM, &parameters).await?;
    }
    let ended = connection.end("COMMIT").await;
    connection.finish(ended)
}
