//! Looking companies up: those that are asked for while a look-up is under way go together in the next.
//!
//! A look-up begins after the calls that it answers, so each sees everything that was acknowledged before it was made,
//! by whichever instance.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::database::{Client, PooledConnection, Statement};
use super::error::DatabaseError;
use super::job_queue::Waiting;
use super::timestamptz::Moment;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::store::{Record, StoreError};

/// How many look-ups may wait.
pub(super) const CAPACITY: usize = 4096;
/// How many go together at most: less than a millisecond of the server's time.
pub(super) const BATCH: usize = 256;

pub(super) const LOOK_UP: &str = "\
SELECT cvr_number, first_login, last_login FROM virksomhedslogin_login WHERE cvr_number = ANY($1)";

/// Answers what waits, until nobody can ask any more.
pub(super) async fn run(database: Arc<Client>, waiting: Waiting<Cvr, Option<LoginSpan>>, deadline: Duration) {
    let mut lookups = Vec::with_capacity(BATCH);
    while waiting.take(&mut lookups, BATCH).await {
        let companies = lookups.iter().map(|question| question.asked.number().cast_signed()).collect();
        match database.run(Instant::now() + deadline, &LookUp { companies }).await {
            Ok(mut found) => {
                found.sort_unstable_by_key(|(cvr, _)| *cvr);
                for question in lookups.drain(..) {
                    let at = found.binary_search_by_key(&question.asked, |(cvr, _)| *cvr);
                    question.tell(at.ok().map(|at| found[at].1.clone()).transpose());
                }
            }
            Err(error) => {
                for question in lookups.drain(..) {
                    question.tell(Err(error.clone()));
                }
            }
        }
    }
}

struct LookUp {
    companies: Vec<i32>,
}

impl Statement for LookUp {
    /// A row that cannot be read, which only somebody else can have written, is its own company's error.
    type Value = Vec<(Cvr, Result<LoginSpan, StoreError>)>;

    async fn send(&self, lease: &PooledConnection) -> Result<Self::Value, Error> {
        let rows = lease.rows(LOOK_UP, &[(&self.companies, Type::INT4_ARRAY)]).await?;
        let company_and_login = |row| {
            let Company(cvr) = Row::try_get(row, 0)?;
            let login =
                record(row).map(|record| record.login).map_err(|error| DatabaseError::of(&error).told());
            Ok((cvr, login))
        };
        rows.iter().map(company_and_login).collect()
    }
}

/// A row as a record.
pub(super) fn record(row: &Row) -> Result<Record, Error> {
    let Company(cvr) = row.try_get(0)?;
    let Moment(first) = row.try_get(1)?;
    let Moment(last) = row.try_get(2)?;
    // The table's own check; should somebody have dropped it, the order is put right rather than the row left out.
    let login = LoginSpan::at(first).merge(LoginSpan::at(last));
    Ok(Record { cvr, login })
}

/// A CVR number as the table has it.
struct Company(Cvr);

impl<'a> tokio_postgres::types::FromSql<'a> for Company {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        let number = i32::from_sql(kind, raw)?;
        Ok(Self(Cvr::from_number(u32::try_from(number)?)?))
    }

    fn accepts(kind: &Type) -> bool {
        <i32 as tokio_postgres::types::FromSql>::accepts(kind)
    }
}
