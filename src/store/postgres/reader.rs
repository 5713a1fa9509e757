//! Looking companies up: those that are asked for during a look-up are looked up together in the next.
//!
//! A look-up begins after the calls that it answers, so each call sees everything that any instance has acknowledged before
//! it. Caches nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::types::Type;
use tokio_postgres::{Error, Row};

use super::connection::PooledConnection;
use super::database::Client;
use super::error::DatabaseError;
use super::job_queue::Queue;
use super::sql_types::{CvrNumber, record};
use super::statements::LOOK_UP;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::store::StoreError;

pub(super) const CAPACITY: usize = 4096;
/// Maximum companies in one statement: less than a millisecond of the server's time.
const BATCH: usize = 256;

pub(super) async fn run(
    database: Arc<Client>,
    queue: Arc<Queue<Cvr, Option<LoginSpan>>>,
    deadline: Duration,
) {
    loop {
        let calls = queue.take(BATCH).await;
        if calls.is_empty() {
            return;
        }
        let companies: Vec<_> = calls.iter().map(|call| call.request.number().cast_signed()).collect();
        let until = Instant::now() + deadline;
        let attempt = || async {
            let connection = database.connection().await?;
            let found = look_up(&connection, &companies).await;
            connection.finish(found)
        };
        let found = database.retry_until(until, attempt).await;
        for call in calls {
            let answer = found.as_ref().map_err(Clone::clone);
            let answer = answer.and_then(|found| found.get(&call.request).cloned().transpose());
            call.answer(answer);
        }
    }
}

/// A row that cannot be read, which only a stranger can have written, is an error for its own company only.
async fn look_up(
    connection: &PooledConnection,
    companies: &[i32],
) -> Result<HashMap<Cvr, Result<LoginSpan, StoreError>>, Error> {
    let rows = connection.rows(LOOK_UP, &[(&companies, Type::INT4_ARRAY)]).await?;
    let company_and_login = |row| {
        let CvrNumber(cvr) = Row::try_get(row, 0)?;
        let login = record(row).map(|record| record.login);
        Ok((cvr, login.map_err(|error| DatabaseError::from(error).into())))
    };
    rows.iter().map(company_and_login).collect()
}
