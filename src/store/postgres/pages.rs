//! The list: one read-only snapshot, read by pages of its key while it is sent.
//!
//! Pages rather than one long result: a reader that goes away leaves at most one of them behind to be thrown away, and
//! the server never waits for a slow reader in the middle of a statement. The snapshot is held to the end, by a
//! transaction on a connection of its own. Its statements never have names: one that was prepared before a change of the
//! tables could not be sent again in the middle of a list.
//!
//! The version of a list is made of the marks that the writers leave in the transactions in which they change anything
//! ([`super::writer`]). The snapshot shows a change exactly when it shows its mark, so whichever instance reads the
//! same state makes the same version, and no other state ever makes it again: a mark is never used twice.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::TryStreamExt;
use futures_util::future::try_join;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::database::{Client, Parameter, PooledConnection};
use super::error::DatabaseError;
use super::reader::record;
use super::timestamptz::Moment;
use crate::domain::timestamp::Timestamp;
use crate::store::record_stream::{Page, PagedRecords};
use crate::store::{Record, StoreError};

/// How many companies are asked for at once.
const PAGE: i64 = 8192;
/// How many of them are handed on at once, and how many such parts wait for a reader that is slower: a page, so that the
/// next is under way while it is being sent.
const PART: usize = 2048;
const PARTS_WAITING: usize = 4;
/// How long a list may take. Its snapshot keeps the server from tidying up; a client that needs longer is not reading.
const WHOLE: Duration = Duration::from_secs(600);
/// How many bytes of the marks' hash make the version.
const VERSION_BYTES: usize = 16;

/// Portable; the server's default may promise less.
pub(super) const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";
/// Names the table of logins as well: whatever keeps us from reading it is then told before the answer has begun, and
/// from here on nobody takes it away.
pub(super) const MARKS: &str = "\
SELECT id, batch, latest, (SELECT min(cvr_number) FROM virksomhedslogin_login) FROM virksomhedslogin_writer
WHERE batch > 0";
pub(super) const NEXT_PAGE: &str = "\
SELECT cvr_number, first_login, last_login FROM virksomhedslogin_login
WHERE cvr_number > $1 ORDER BY cvr_number LIMIT $2";

/// What is known of a list before its first page.
struct Head {
    version: String,
    latest: Option<Timestamp>,
    sequence: u64,
    /// Whether a table shows nothing.
    seems_empty: bool,
}

/// The list of this moment. `permit` is given back with the connection.
pub(super) async fn list(
    database: Arc<Client>,
    permit: OwnedSemaphorePermit,
    until: Instant,
    deadline: Duration,
) -> Result<PagedRecords, StoreError> {
    let (lease, head) = database.retry_until(until, || begin(&database)).await?;
    let (want, wanted) = oneshot::channel();
    let (send, pages) = mpsc::channel(PARTS_WAITING);
    tokio::spawn(async move {
        if wanted.await.is_ok() {
            match timeout(WHOLE, send_pages(&lease, &send, deadline)).await {
                Ok(Ok(())) => {}
                // It may have been this connection alone, idle for too long; a database that is away is found so by others.
                Ok(Err(fault)) => {
                    // Who does not listen learns of it by the end that is missing.
                    let _ = timeout(deadline, send.send(Err(fault.told()))).await;
                    return;
                }
                Err(_) => {
                    log::warn!("a list was cut off: it was not read to its end within {} s", WHOLE.as_secs());
                    return;
                }
            }
        }
        // The snapshot is of no more use, whether it was read or not.
        if matches!(timeout(deadline, lease.batch_execute("ROLLBACK")).await, Ok(Ok(()))) {
            lease.release();
        }
        drop(permit);
    });
    let Head { version, latest, sequence, .. } = head;
    Ok(PagedRecords { version, latest, sequence, wanted: Some(want), pages })
}

/// A snapshot, and what it says of itself.
async fn begin(database: &Client) -> Result<(PooledConnection, Head), DatabaseError> {
    let lease = database.lease().await?;
    let head = async {
        let head = head(&lease).await?;
        if !head.seems_empty {
            return Ok(head);
        }
        // The snapshot is taken before the tables' locks. Had it to wait for somebody who writes a table anew (`ALTER
        // TABLE … TYPE`), it is from before, and PostgreSQL shows it nothing of what the table holds since. So an
        // empty table is believed only when a second snapshot shows it too.
        lease.batch_execute("ROLLBACK").await?;
        self::head(&lease).await
    };
    let head = head.await.map_err(|error: Error| DatabaseError::of(&error))?;
    Ok((lease, head))
}

/// Begins a snapshot and asks for its marks, in one round trip.
async fn head(lease: &PooledConnection) -> Result<Head, Error> {
    let ((), rows) = try_join(lease.batch_execute(BEGIN), lease.query_typed(MARKS, &[])).await?;
    let mut marks: Vec<(String, i64)> = Vec::new();
    let mut latest = None;
    let mut seems_empty = true;
    for row in rows {
        marks.push((row.try_get(0)?, row.try_get(1)?));
        let of_writer: Option<Moment> = row.try_get(2)?;
        latest = latest.max(of_writer.map(|Moment(moment)| moment));
        seems_empty = row.try_get::<_, Option<i32>>(3)?.is_none();
    }
    // Not left to the server, whose order of texts depends on its settings.
    marks.sort_unstable();
    let mut hash = Sha256::new();
    for (id, batch) in &marks {
        hash.update(format!("{id} {batch}\n"));
    }
    let sequence = marks.iter().map(|(_, batch)| batch.unsigned_abs()).sum();
    let version = HEXLOWER.encode(&hash.finalize()[..VERSION_BYTES]);
    Ok(Head { version, latest, sequence, seems_empty })
}

/// Sends every page, and that there are no more.
async fn send_pages(
    lease: &PooledConnection,
    send: &mpsc::Sender<Result<Page, StoreError>>,
    deadline: Duration,
) -> Result<(), DatabaseError> {
    let mut after = -1;
    loop {
        let page =
            timeout(deadline, page(lease, after)).await.unwrap_or_else(|_| Err(DatabaseError::silence()))?;
        for part in page.chunks(PART) {
            if send.send(Ok(Page::Records(part.to_vec()))).await.is_err() {
                return Ok(());
            }
        }
        match page.last() {
            Some(last) if page.len() as i64 == PAGE => after = last.cvr.number().cast_signed(),
            _ => {
                let _ = send.send(Ok(Page::End)).await;
                return Ok(());
            }
        }
    }
}

/// The companies after this one.
async fn page(lease: &PooledConnection, after: i32) -> Result<Vec<Record>, DatabaseError> {
    let parameters: [Parameter<'_>; 2] = [(&after, Type::INT4), (&PAGE, Type::INT8)];
    let page = async {
        let mut rows = Box::pin(lease.query_typed_raw(NEXT_PAGE, parameters).await?);
        let mut page = Vec::with_capacity(PAGE as usize);
        while let Some(row) = rows.try_next().await? {
            page.push(record(&row)?);
        }
        Ok(page)
    };
    page.await.map_err(|error: Error| DatabaseError::of(&error))
}
