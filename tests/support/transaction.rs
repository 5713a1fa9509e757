//! A transaction that stays open while a test does something else.

use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, NoTls};

use super::cluster::{Cluster, TIMEOUT};

/// Rolled back unless it is committed.
pub(crate) struct Transaction {
    runtime: Runtime,
    client: Client,
}

impl Cluster {
    /// Begins a transaction as the superuser and does this in it; it holds its locks by then.
    pub(crate) fn begin(&self, database: &str, statements: &str) -> Transaction {
        let config = self.config(database);
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let begun = async {
            let (client, connection) = config.connect(NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute(&format!("BEGIN; {statements}")).await?;
            Ok::<_, tokio_postgres::Error>(client)
        };
        let client = runtime.block_on(async { tokio::time::timeout(TIMEOUT, begun).await });
        let client =
            client.expect("an answer in time").unwrap_or_else(|error| panic!("{statements}: {error:?}"));
        Transaction { runtime, client }
    }
}

impl Transaction {
    pub(crate) fn commit(self) {
        self.runtime.block_on(self.client.batch_execute("COMMIT")).unwrap();
    }
}
