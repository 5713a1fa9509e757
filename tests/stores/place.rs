//! Where the services of these tests keep their logins: each in a folder of its own, or each in a database of its own on the
//! PostgreSQL server that `VIRKSOMHEDSLOGIN_TEST_STORE` names, as a role that may create databases.

use std::time::Duration;

use tokio_postgres::{Config, NoTls};

/// Names the server; without it the store is the embedded one.
pub const VARIABLE: &str = "VIRKSOMHEDSLOGIN_TEST_STORE";
/// How long making or dropping a database may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The place of one service; a database is dropped with it.
pub enum Backend {
    /// `store` in the service's folder.
    Embedded,
    /// A database on a server.
    Database { server: String, name: String },
}

impl Backend {
    /// A new, empty place of the kind that the tests are asked to run on.
    pub fn wanted() -> Self {
        std::env::var(VARIABLE).map_or(Self::Embedded, |server| Self::database_on(&server))
    }

    /// A new database on the server of this connection string.
    pub fn database_on(server: &str) -> Self {
        assert!(
            server.starts_with("postgres"),
            "{VARIABLE} is a connection string, as in postgresql://user@host/postgres, and not {server:?}"
        );
        let name = format!("logins_{:016x}", fastrand::u64(..));
        // A template that nobody can be connected to: another session on it would be in the way.
        run(server, &format!("CREATE DATABASE {name} TEMPLATE template0")).expect("a database is made");
        Self::Database { server: server.to_owned(), name }
    }

    /// The lines of `[store]` that name it.
    pub fn configuration(&self) -> String {
        match self.url() {
            None => "store.path = \"store\"".to_owned(),
            Some(url) => format!("store.kind = \"postgres\"\nstore.url = {url:?}"),
        }
    }

    /// The connection string of a database.
    pub fn url(&self) -> Option<String> {
        let Self::Database { server, name } = self else { return None };
        let mut url = url::Url::parse(server).unwrap();
        url.set_path(name);
        Some(url.to_string())
    }

    /// Whether it is a folder.
    pub fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Self::Database { server, name } = self {
            // What is left behind goes with the server.
            let _ = run(server, &format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

/// Runs one statement on a connection and a thread of its own: the caller may be inside a runtime already.
fn run(server: &str, statement: &str) -> Result<(), String> {
    let config: Config = server.parse().map_err(|error: tokio_postgres::Error| error.to_string())?;
    let work = async {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(statement).await
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let limited = async { tokio::time::timeout(PATIENCE, work).await };
    let done = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(limited)).join().unwrap());
    done.map_err(|_| "no answer".to_owned())?.map_err(|error| {
        error.as_db_error().map_or_else(|| error.to_string(), |told| told.message().to_owned())
    })
}
