//! Taking companies out, a part at a time: their rows are locked, reported to the audit log, deleted, committed.
//!
//! Instances go on meanwhile. A login of a locked company waits, and begins a new record after the commit; so none is lost.
//! Each part also changes the row `erased` of the table of writers, to which every version's history is bound
//! ([`super::pages`]): no instance takes a version from before for one that it can continue.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::connection::{Parameter, PooledConnection};
use super::database::Client;
use super::schema::MAY_ERASE;
use super::sql_types::{CvrNumber, Timestamptz};
use super::statements::{ERASE, LOCK};
use super::{IMPORT_DEADLINE, MARGIN, Postgres, wait};
use crate::domain::cvr::Cvr;
use crate::domain::timestamp::Timestamp;
use crate::store::{EraseError, Selection, StoreError};

/// No longer than the batches of logins wait, so that those that queue up behind this one's locks are soon free again.
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '150ms'";
/// Between two attempts to lock the rows.
const PAUSE: Duration = Duration::from_millis(50);

impl Postgres {
    /// Takes out those of these companies, ascending, that are still selected; returns how many.
    pub(in crate::store) fn erase(
        &self,
        companies: &[Cvr],
        which: &Selection,
        before: &mut impl FnMut(&[Cvr]) -> io::Result<()>,
    ) -> Result<u64, EraseError> {
        self.check_open()?;
        let companies: Vec<_> = companies.iter().map(|cvr| cvr.number().cast_signed()).collect();
        let last_before = match which {
            Selection::Companies(_) => None,
            Selection::LastBefore(time) => Some(*time),
        };
        let until = Instant::now() + IMPORT_DEADLINE;
        let (connection, locked) = loop {
            let locking = lock_once(Arc::clone(&self.database), companies.clone(), last_before, until);
            match wait(&self.handle, IMPORT_DEADLINE + MARGIN, locking) {
                Some(Ok(Some(locked))) => break locked,
                Some(Ok(None)) if Instant::now() < until => thread::sleep(PAUSE),
                Some(Ok(None)) => {
                    return Err(StoreError::Failing("a row is locked by another session".to_owned()).into());
                }
                Some(Err(error)) => return Err(error.into()),
                None => return Err(self.timed_out().into()),
            }
        };
        if !locked.is_empty() {
            before(&locked)?;
        }
        let erased = locked.len() as u64;
        let ended = wait(&self.handle, IMPORT_DEADLINE + MARGIN, erase_locked(connection, locked));
        ended.unwrap_or_else(|| Err(self.timed_out()))?;
        Ok(erased)
    }
}

/// Begins a transaction and locks the selected ones of these rows; `None` when one stays locked by another session.
async fn lock_once(
    database: Arc<Client>,
    companies: Vec<i32>,
    last_before: Option<Timestamp>,
    until: Instant,
) -> Result<Option<(PooledConnection, Vec<Cvr>)>, StoreError> {
    let attempt = || async {
        let connection = database.connection().await?;
        match lock(&connection, &companies, last_before).await {
            Ok(rows) => {
                let locked = rows.iter().map(|row| row.try_get(0).map(|CvrNumber(cvr)| cvr));
                let locked = locked.collect::<Result<Vec<_>, Error>>()?;
                Ok(Ok(Some((connection, locked))))
            }
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
                connection.end("ROLLBACK").await?;
                connection.release();
                Ok(Ok(None))
            }
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                Ok(Err(StoreError::Failing(MAY_ERASE.to_owned())))
            }
            Err(error) => Err(error.into()),
        }
    };
    database.retry_until(until, attempt).await?
}

async fn lock(
    connection: &PooledConnection,
    companies: &Vec<i32>,
    last_before: Option<Timestamp>,
) -> Result<Vec<Row>, Error> {
    connection.begin(BEGIN).await?;
    // Before any audit line is written of an erasure that the database denies.
    connection.batch_execute("DELETE FROM virksomhedslogin_login WHERE false").await?;
    let last_before = last_before.map(Timestamptz);
    let parameters: [Parameter<'_>; 2] = [(companies, Type::INT4_ARRAY), (&last_before, Type::TIMESTAMPTZ)];
    connection.rows(LOCK, &parameters).await
}

/// Deletes the locked rows, and commits.
async fn erase_locked(connection: PooledConnection, companies: Vec<Cvr>) -> Result<(), StoreError> {
    let numbers: Vec<_> = companies.iter().map(|cvr| cvr.number().cast_signed()).collect();
    let erase = async {
        if !numbers.is_empty() {
            let row = connection.rows(ERASE, &[(&numbers, Type::INT4_ARRAY)]).await?;
            let deleted = row.first().map(|row| row.try_get::<_, i64>(0)).transpose()?;
            if deleted != i64::try_from(numbers.len()).ok() {
                return Ok(false);
            }
        }
        connection.end("COMMIT").await.map(|()| true)
    };
    let erased = erase.await;
    match connection.finish(erased)? {
        true => Ok(()),
        false => Err(StoreError::Failing(
            "the table of logins does not let its rows go; is there a trigger or a row policy?".to_owned(),
        )),
    }
}
