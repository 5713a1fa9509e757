//! Where the services of these tests keep their logins: each in a directory of its own, or each in a database of its own on the
//! PostgreSQL server that `VIRKSOMHEDSLOGIN_TEST_STORE` names, as a role that may create databases.

use super::cluster::query;

/// Names the server; without it the store is the embedded one.
pub(crate) const VARIABLE: &str = "VIRKSOMHEDSLOGIN_TEST_STORE";

/// The store of one service; a database is dropped with it.
pub(crate) enum TestStore {
    /// `store` in the service's directory.
    Embedded,
    /// A database on a server.
    Database { server: String, name: String },
}

impl TestStore {
    /// A new, empty store of the kind that the tests are asked to run on.
    pub(crate) fn wanted() -> Self {
        std::env::var(VARIABLE).map_or(Self::Embedded, |server| Self::database_on(&server))
    }

    /// A new database on the server of this connection string.
    pub(crate) fn database_on(server: &str) -> Self {
        assert!(
            server.starts_with("postgres"),
            "{VARIABLE} is a connection string, as in postgresql://user@host/postgres, and not {server:?}"
        );
        let name = format!("logins_{:016x}", fastrand::u64(..));
        // A template that no session can be connected to, where there are templates: another session on it would be in the way.
        let create = format!("CREATE DATABASE {name}");
        let url: Result<tokio_postgres::Config, _> = server.parse();
        let made = url.map_err(|error| error.to_string()).and_then(|url| {
            query(&url, &format!("{create} TEMPLATE template0"))
                .or_else(|reason| query(&url, &create).map_err(|_| reason))
        });
        assert!(
            made.is_ok(),
            "{VARIABLE}: no database can be created there: {}. It is the address of a server that runs, accepts connections \
             without TLS and lets this role create databases",
            made.unwrap_err()
        );
        Self::Database { server: server.to_owned(), name }
    }

    /// The lines of `[store]` that name it.
    pub(crate) fn configuration(&self) -> String {
        match self.url() {
            None => "store.path = \"store\"".to_owned(),
            Some(url) => format!("store.kind = \"postgres\"\nstore.url = {url:?}"),
        }
    }

    /// The connection string of a database; `None` for the embedded store.
    pub(crate) fn url(&self) -> Option<String> {
        let Self::Database { server, name } = self else { return None };
        let mut url = url::Url::parse(server).unwrap();
        url.set_path(name);
        Some(url.to_string())
    }
}

impl Drop for TestStore {
    fn drop(&mut self) {
        if let Self::Database { server, name } = self {
            // What is left behind goes with the server.
            let _ = query(&server.parse().unwrap(), &format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}
