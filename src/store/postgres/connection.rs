//! One connection for one statement or one transaction. It goes back to the pool only when what was sent on it has ended;
//! otherwise it is closed, since an answer may still arrive.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{ClientWrapper, Object};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::DatabaseError;

/// For canceling a statement, which takes a connection of its own.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

pub(super) struct PooledConnection {
    connection: Option<Object>,
    in_transaction: AtomicBool,
    prepared_statements: bool,
    connector: MakeRustlsConnect,
}

pub(super) type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

impl PooledConnection {
    pub(super) fn new(connection: Object, prepared_statements: bool, connector: MakeRustlsConnect) -> Self {
        let in_transaction = AtomicBool::new(false);
        Self { connection: Some(connection), in_transaction, prepared_statements, connector }
    }

    /// Returns it to the pool, unless a transaction is still open.
    pub(super) fn release(mut self) {
        if !self.in_transaction.load(Ordering::Relaxed) {
            self.connection.take();
        }
    }

    /// Releases it, unless the error of what was sent on it leaves it in doubt.
    pub(super) fn finish<T>(self, result: Result<T, Error>) -> Result<T, DatabaseError> {
        let result = result.map_err(DatabaseError::from);
        if result.as_ref().err().is_none_or(DatabaseError::spares_connection) {
            self.release();
        }
        result
    }

    pub(super) async fn begin(&self, sql: &str) -> Result<(), Error> {
        self.in_transaction.store(true, Ordering::Relaxed);
        self.batch_execute(sql).await
    }

    /// Ends the transaction with `COMMIT` or `ROLLBACK`.
    pub(super) async fn end(&self, sql: &str) -> Result<(), Error> {
        self.batch_execute(sql).await?;
        self.in_transaction.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Sends a statement that may be prepared once a connection, and waits for all its rows.
    pub(super) async fn rows(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Vec<Row>, Error> {
        if !self.prepared_statements {
            return self.query_typed(sql, parameters).await;
        }
        let (values, types): (Vec<_>, Vec<_>) = parameters.iter().cloned().unzip();
        let statement = self.prepare_typed_cached(sql, &types).await?;
        self.query(&statement, &values).await
    }
}

impl Deref for PooledConnection {
    type Target = ClientWrapper;

    #[expect(clippy::expect_used, reason = "only `release` and `drop` take the connection out")]
    fn deref(&self) -> &Self::Target {
        self.connection.as_ref().expect("a connection until it is dropped")
    }
}

/// An abandoned statement may wait on at the server, for a lock or a standby, because the server does not notice that its
/// client is gone. So it is canceled, and the connection counts as used until then.
impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        match Handle::try_current() {
            Ok(handle) if !connection.is_closed() => {
                let (cancel, connector) = (connection.cancel_token(), self.connector.clone());
                handle.spawn(async move {
                    let _ = timeout(CANCEL_TIMEOUT, cancel.cancel_query(connector)).await;
                    drop(Object::take(connection));
                });
            }
            _ => drop(Object::take(connection)),
        }
    }
}
