//! The list: one read-only snapshot, read in pages of its key while it is sent.
//!
//! Pages, so that the server never waits for a slow reader within a statement. Its statements are never prepared: one from
//! before a change of the tables would fail in the middle of a list.
//!
//! The list's version is made of the rows that writers update in each transaction that changes anything
//! ([`super::writer`]). A snapshot shows a change exactly when it shows its writer's row, and no row ever has the same
//! value again; so every instance makes the same version of the same state, and of no other.
//!
//! What changed since a version is found by the transactions that wrote the rows ([`CHANGES`]). A version's place is a
//! transaction: none before it changes anything that the version does not show. It is the oldest that was running when
//! the snapshot was taken, or the one after the last that a writer's row shows, whichever is earlier; the latter, because
//! a server that crashes may give out again the numbers of transactions that left no trace on the disk, but no number
//! before one that did. Places count only within one history: the same server, table, and timeline, and no erasure.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::future::try_join;
use futures_util::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::connection::{Parameter, PooledConnection};
use super::database::Client;
use super::error::DatabaseError;
use super::sql_types::{Timestamptz, record};
use super::statements::{BEGIN_LIST, CHANGES, HISTORY, NEXT_PAGE, WRITERS};
use crate::store::record_stream::{Message, PagedRecords};
use crate::store::version::{Place, Version};
use crate::store::{Record, StoreError};

const PAGE: usize = 8192;
/// Companies in one message to the reader, and maximum waiting messages: one page, so that the next is under way meanwhile.
const MESSAGE: usize = 2048;
const QUEUE: usize = 4;
/// Maximum duration of a list, whose snapshot keeps the server from vacuuming.
const LIST_TIMEOUT: Duration = Duration::from_secs(600);
const VERSION_BYTES: usize = 16;
/// What databases answer that speak PostgreSQL's protocol and number transactions in another way, or hide it.
const NO_HISTORY: [SqlState; 7] = [
    SqlState::UNDEFINED_FUNCTION,
    SqlState::UNDEFINED_COLUMN,
    SqlState::UNDEFINED_OBJECT,
    SqlState::FEATURE_NOT_SUPPORTED,
    SqlState::INSUFFICIENT_PRIVILEGE,
    SqlState::CANNOT_COERCE,
    SqlState::SYNTAX_ERROR,
];

/// The list as it is now. `permit` is released with the connection.
pub(super) async fn list(
    database: Arc<Client>,
    permit: OwnedSemaphorePermit,
    until: Instant,
    deadline: Duration,
) -> Result<PagedRecords, StoreError> {
    let (connection, head) = database.retry_until(until, || begin(&database)).await?;
    let (want, wanted) = oneshot::channel();
    let (send, pages) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let _permit = permit;
        if let Ok(wanted) = wanted.await {
            let sent = async {
                match wanted {
                    Some(transactions) => send_changes(&connection, transactions, &send, deadline).await,
                    None => send_pages(&connection, &send, deadline).await,
                }
            };
            match timeout(LIST_TIMEOUT, sent).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    // A reader that takes nothing learns of it by the missing end.
                    let _ = timeout(deadline, send.send(Err(error.into()))).await;
                    return;
                }
                Err(_) => {
                    let limit = LIST_TIMEOUT.as_secs();
                    log::warn!("a list was cut off: it was not read to its end within {limit} s");
                    return;
                }
            }
        }
        if matches!(timeout(deadline, connection.batch_execute("ROLLBACK")).await, Ok(Ok(()))) {
            connection.release();
        }
    });
    let mut hash = Sha256::new();
    for (id, batch, _) in &head.writers {
        hash.update(format!("{id} {batch}\n"));
    }
    let content = HEXLOWER.encode(&hash.finalize()[..VERSION_BYTES]);
    let (place, next_transaction) = head.history.unzip();
    let writers = head.writers.iter();
    Ok(PagedRecords {
        version: database.first_version(Version::new(content, place)),
        latest: writers.clone().filter_map(|(.., latest)| latest.map(|Timestamptz(latest)| latest)).max(),
        sequence: writers.map(|(_, batch, _)| batch.unsigned_abs()).sum(),
        next_transaction: next_transaction.unwrap_or(0),
        restriction: None,
        wanted: Some(want),
        pages,
    })
}

/// Id, latest batch and latest login of a writer.
type WriterRow = (String, i64, Option<Timestamptz>);

/// What is known before the first page.
struct Head {
    writers: Vec<WriterRow>,
    /// The snapshot's place, and the number of the next transaction.
    history: Option<(Place, u64)>,
    looks_empty: bool,
}

/// Takes a snapshot.
async fn begin(database: &Client) -> Result<(PooledConnection, Head), DatabaseError> {
    let connection = database.connection().await?;
    let mut head = self::head(database, &connection).await?;
    if head.looks_empty {
        // A snapshot that had to wait while a table was rewritten (`ALTER TABLE … TYPE`) is older than the rewrite, and
        // PostgreSQL shows it an empty table. So a second snapshot has to agree.
        connection.batch_execute("ROLLBACK").await?;
        head = self::head(database, &connection).await?;
    }
    Ok((connection, head))
}

/// Begins a snapshot, and reads the writers and its place in the history, in one round trip.
async fn head(database: &Client, connection: &PooledConnection) -> Result<Head, Error> {
    let has_history = database.has_history.load(Ordering::Relaxed);
    let history = async { if has_history { history(connection).await.map(Some) } else { Ok(None) } };
    let begin = connection.batch_execute(BEGIN_LIST);
    let (((), rows), history) =
        match try_join(try_join(begin, connection.query_typed(WRITERS, &[])), history).await {
            Err(error) if has_history && error.code().is_some_and(|code| NO_HISTORY.contains(code)) => {
                log::info!(
                    "lists come whole: the database does not report which transaction wrote a row: {error}"
                );
                database.has_history.store(false, Ordering::Relaxed);
                connection.batch_execute("ROLLBACK").await?;
                let begin = connection.batch_execute(BEGIN_LIST);
                (try_join(begin, connection.query_typed(WRITERS, &[])).await?, None)
            }
            read => read?,
        };
    let (mut writers, mut looks_empty) = (Vec::with_capacity(rows.len()), true);
    for row in rows {
        writers.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        looks_empty = row.try_get::<_, Option<i32>>(3)?.is_none();
    }
    // Here, because the server's order of texts depends on its settings.
    writers.sort_unstable();
    Ok(Head { writers, history, looks_empty })
}

/// The snapshot's place in the history of the tables, and the number of the next transaction.
async fn history(connection: &PooledConnection) -> Result<(Place, u64), Error> {
    let row = connection.query_typed_one(HISTORY, &[]).await?;
    let (oldest, age): (i64, i32) = (row.try_get(0)?, row.try_get(1)?);
    let last_writer: Option<i32> = row.try_get(2)?;
    let next = oldest + i64::from(age);
    let after_last_writer = last_writer.map_or(next, |age| next - i64::from(age) + 1);
    let digest = Sha256::digest(row.try_get::<_, &str>(3)?);
    let history = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Ok((Place { history, position: oldest.min(after_last_writer).unsigned_abs() }, next.unsigned_abs()))
}

/// Sends what so many of the last transactions wrote, and the end, or stops early when the reader has gone.
async fn send_changes(
    connection: &PooledConnection,
    transactions: i32,
    send: &mpsc::Sender<Message>,
    deadline: Duration,
) -> Result<(), DatabaseError> {
    let rows = connection.query_typed_raw(CHANGES, [(&transactions, Type::INT4)]).await?;
    let mut parts = pin!(rows.map(|row| record(&row?)).try_chunks(MESSAGE));
    loop {
        let part = timeout(deadline, parts.next()).await.map_err(|_| DatabaseError::timeout())?;
        let part = part.transpose().map_err(|error| error.1)?;
        let is_end = part.is_none();
        if send.send(Ok(part)).await.is_err() || is_end {
            return Ok(());
        }
    }
}

/// Sends all pages and the end, or stops early when the reader has gone.
async fn send_pages(
    connection: &PooledConnection,
    send: &mpsc::Sender<Message>,
    deadline: Duration,
) -> Result<(), DatabaseError> {
    let mut after = -1;
    loop {
        let page =
            timeout(deadline, page(connection, after)).await.map_err(|_| DatabaseError::timeout())??;
        for part in page.chunks(MESSAGE) {
            if send.send(Ok(Some(part.to_vec()))).await.is_err() {
                return Ok(());
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = last.cvr.number().cast_signed(),
            _ => {
                let _ = send.send(Ok(None)).await;
                return Ok(());
            }
        }
    }
}

async fn page(connection: &PooledConnection, after: i32) -> Result<Vec<Record>, Error> {
    let limit = PAGE as i64;
    let parameters: [Parameter<'_>; 2] = [(&after, Type::INT4), (&limit, Type::INT8)];
    let rows = connection.query_typed_raw(NEXT_PAGE, parameters).await?;
    rows.map(|row| record(&row?)).try_collect().await
}
