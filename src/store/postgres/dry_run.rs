//! Whether the tables accept our statements: a login is written, read and listed by them, and rolled back.
//!
//! Columns and rights that are as they should be do not suffice: a missing primary key, a rule, a row policy or a further
//! NOT NULL column also makes a table reject every login.

use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::connection::{Parameter, PooledConnection};
use super::sql_types;
use super::statements::{Batch, LOOK_UP, NEXT_PAGE, WRITERS, Writer};
use crate::domain::clock::ClockLimits;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

/// Short, because a locked row or table says nothing about whether the tables fit.
const LOCK_TIMEOUT: &str = "100ms";
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '100ms'";

/// Whether a login that is written can be read. Changes nothing.
pub(super) async fn keeps_a_login(connection: &PooledConnection) -> Result<bool, Error> {
    // Another company and another writer each time, so that no other session's row is waited for.
    let Ok(cvr) = Cvr::from_number(fastrand::u32(..=Cvr::MAX.number())) else { return Ok(true) };
    let writer = Writer::new("dry-run", &uuid::Uuid::new_v4().to_string(), ClockLimits::NONE);
    let record = Record { cvr, login: LoginSpan::at(Timestamp::MIN) };
    connection.begin(BEGIN).await?;
    let batch = Batch { writer: &writer, records: &[record], lock_timeout: LOCK_TIMEOUT };
    let _ = batch.record(connection).await?;
    let number = cvr.number().cast_signed();
    let kept = connection.rows(LOOK_UP, &[(&vec![number], Type::INT4_ARRAY)]).await?;
    connection.query_typed(WRITERS, &[]).await?;
    let page: [Parameter<'_>; 2] = [(&(number - 1), Type::INT4), (&1_i64, Type::INT8)];
    connection.query_typed(NEXT_PAGE, &page).await?;
    connection.end("ROLLBACK").await?;
    let first = kept.first().and_then(|row| sql_types::record(row).ok()).map(|record| record.login.first());
    Ok(first == Some(Timestamp::MIN))
}
