//! Whether the tables take what the service sends: a login is written, read and listed by the real statements, and rolled
//! back.
//!
//! Columns and rights that are as they should be do not suffice: without its primary key a table refuses every login, and so
//! does one with a rule, a policy for its rows or a further column that must not be NULL.

use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::database::{Parameter, PooledConnection};
use super::pages;
use super::reader;
use super::reader::LOOK_UP;
use super::writer::{Batch, WriterTask};
use crate::domain::clock::ClockLimits;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

/// Neither a row nor a table that somebody has locked says anything of the tables: it is not waited for.
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '100ms'";
const LOCK_TIMEOUT: &str = "100ms";

/// Whether a login that is written can be read. Nothing is changed.
pub(super) async fn keeps_a_login(lease: &PooledConnection) -> Result<bool, Error> {
    // Another company and another mark each time, so that nobody waits for anybody's row.
    let Ok(cvr) = Cvr::from_number(fastrand::u32(..=Cvr::MAX.number())) else { return Ok(true) };
    let lane = WriterTask::new("dry-run", &uuid::Uuid::new_v4().to_string(), ClockLimits::NONE);
    let company = Record { cvr, login: LoginSpan::at(Timestamp::MIN) };
    lease.begin(BEGIN).await?;
    Batch::new(&lane, &[company], LOCK_TIMEOUT).record(lease).await?;
    let number = cvr.number().cast_signed();
    let kept = lease.rows(LOOK_UP, &[(&vec![number], Type::INT4_ARRAY)]).await?;
    lease.query_typed(pages::MARKS, &[]).await?;
    let page: [Parameter<'_>; 2] = [(&(number - 1), Type::INT4), (&1_i64, Type::INT8)];
    lease.query_typed(pages::NEXT_PAGE, &page).await?;
    lease.end("ROLLBACK").await?;
    Ok(kept
        .first()
        .is_some_and(|row| reader::record(row).is_ok_and(|kept| kept.login.first() == Timestamp::MIN)))
}
