//! The list: one read-only snapshot, read in pages of its key while it is sent.
//!
//! Pages, so that the server never waits for a slow reader within a statement. Its statements are never prepared: one from
//! before a change of the tables would fail in the middle of a list.
//!
//! The list's version is made of the rows that writers update in each transaction that changes anything
//! ([`super::writer`]). A snapshot shows a change exactly when it shows its writer's row, and no row ever has the same
//! value again; so every instance makes the same version of the same state, and of no other.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::future::try_join;
use futures_util::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_postgres::Error;
use tokio_postgres::types::Type;

use super::connection::{Parameter, PooledConnection};
use super::database::Client;
use super::error::DatabaseError;
use super::sql_types::{Timestamptz, record};
use super::statements::{BEGIN_LIST, NEXT_PAGE, WRITERS};
use crate::store::record_stream::{Message, PagedRecords};
use crate::store::{Record, StoreError};

const PAGE: usize = 8192;
/// Companies in one message to the reader, and maximum waiting messages: one page, so that the next is under way meanwhile.
const MESSAGE: usize = 2048;
const QUEUE: usize = 4;
/// Maximum duration of a list, whose snapshot keeps the server from vacuuming.
const LIST_TIMEOUT: Duration = Duration::from_secs(600);
const VERSION_BYTES: usize = 16;

/// The list as it is now. `permit` is released with the connection.
pub(super) async fn list(
    database: Arc<Client>,
    permit: OwnedSemaphorePermit,
    until: Instant,
    deadline: Duration,
) -> Result<PagedRecords, StoreError> {
    let (connection, writers) = database.retry_until(until, || begin(&database)).await?;
    let (want, wanted) = oneshot::channel();
    let (send, pages) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        let _permit = permit;
        if wanted.await.is_ok() {
            match timeout(LIST_TIMEOUT, send_pages(&connection, &send, deadline)).await {
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
    for (id, batch, _) in &writers {
        hash.update(format!("{id} {batch}\n"));
    }
    Ok(PagedRecords {
        version: HEXLOWER.encode(&hash.finalize()[..VERSION_BYTES]),
        latest: writers.iter().filter_map(|(.., latest)| latest.map(|Timestamptz(latest)| latest)).max(),
        sequence: writers.iter().map(|(_, batch, _)| batch.unsigned_abs()).sum(),
        wanted: Some(want),
        pages,
    })
}

/// Id, latest batch and latest login of a writer.
type WriterRow = (String, i64, Option<Timestamptz>);

/// Takes a snapshot, and reads the writers in it.
async fn begin(database: &Client) -> Result<(PooledConnection, Vec<WriterRow>), DatabaseError> {
    let connection = database.connection().await?;
    let (mut writers, looks_empty) = writers(&connection).await?;
    if looks_empty {
        // A snapshot that had to wait while a table was rewritten (`ALTER TABLE … TYPE`) is older than the rewrite, and
        // PostgreSQL shows it an empty table. So a second snapshot has to agree.
        connection.batch_execute("ROLLBACK").await?;
        (writers, _) = self::writers(&connection).await?;
    }
    Ok((connection, writers))
}

/// Begins a snapshot and reads the writers, in one round trip; also whether a table looks empty.
async fn writers(connection: &PooledConnection) -> Result<(Vec<WriterRow>, bool), Error> {
    let ((), rows) =
        try_join(connection.batch_execute(BEGIN_LIST), connection.query_typed(WRITERS, &[])).await?;
    let (mut writers, mut looks_empty) = (Vec::with_capacity(rows.len()), true);
    for row in rows {
        writers.push((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
        looks_empty = row.try_get::<_, Option<i32>>(3)?.is_none();
    }
    // Here, because the server's order of texts depends on its settings.
    writers.sort_unstable();
    Ok((writers, looks_empty))
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
