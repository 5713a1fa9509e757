//! What the database knows of the time: its own clock, and the latest login.

use tokio_postgres::Error;

use super::database::{PooledConnection, Statement};
use super::timestamptz::Moment;
use crate::domain::timestamp::Timestamp;

/// The latest login is that of the writers' marks: the table of logins has no index for it.
const TIMES: &str = "SELECT clock_timestamp(), (SELECT max(latest) FROM virksomhedslogin_writer)";

/// Asks for both.
pub(super) struct Times;

/// The answer, as far as there is one.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) now: Option<Timestamp>,
    pub(super) latest_login: Option<Timestamp>,
}

impl Statement for Times {
    type Value = Known;

    async fn send(&self, lease: &PooledConnection) -> Result<Known, Error> {
        let rows = lease.rows(TIMES, &[]).await?;
        let at = |column| {
            let moment: Option<Option<Moment>> = rows.first().map(|row| row.try_get(column)).transpose()?;
            Ok::<_, Error>(moment.flatten().map(|Moment(moment)| moment))
        };
        Ok(Known { now: at(0)?, latest_login: at(1)? })
    }
}
