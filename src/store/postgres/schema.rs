//! The tables: what they are, whether they are there, and making them. `docs/POSTGRES.md` prints the same SQL.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use super::database::PooledConnection;
use super::dry_run;
use super::error::{DatabaseError, is_missing_table};

/// The form of the tables that this version reads and writes.
const VERSION: i32 = 1;

/// What makes the tables. Portable: no extension, no sequence, no trigger; the names of the types mean the same everywhere.
pub(super) const TABLES: &str = "\
CREATE TABLE IF NOT EXISTS virksomhedslogin_login (
    cvr_number  int4           NOT NULL PRIMARY KEY CHECK (cvr_number BETWEEN 0 AND 99999999),
    first_login timestamptz(3) NOT NULL CHECK (first_login >= '1970-01-01 00:00:00Z'),
    last_login  timestamptz(3) NOT NULL CHECK (last_login < '10000-01-01 00:00:00Z'),
    CHECK (first_login <= last_login)
);
CREATE TABLE IF NOT EXISTS virksomhedslogin_writer (
    id      text           NOT NULL PRIMARY KEY,
    batch   int8           NOT NULL,
    latest  timestamptz(3),
    written timestamptz(3) NOT NULL
);
CREATE TABLE IF NOT EXISTS virksomhedslogin_schema (
    id      int4 NOT NULL PRIMARY KEY CHECK (id = 1),
    version int4 NOT NULL
);
INSERT INTO virksomhedslogin_schema (id, version) VALUES (1, 1) ON CONFLICT (id) DO NOTHING;
";

/// table, column, type as the information schema calls it.
const COLUMNS: [(&str, &str, &str); 9] = [
    ("virksomhedslogin_login", "cvr_number", "integer"),
    ("virksomhedslogin_login", "first_login", "timestamp with time zone"),
    ("virksomhedslogin_login", "last_login", "timestamp with time zone"),
    ("virksomhedslogin_schema", "id", "integer"),
    ("virksomhedslogin_schema", "version", "integer"),
    ("virksomhedslogin_writer", "batch", "bigint"),
    ("virksomhedslogin_writer", "id", "text"),
    ("virksomhedslogin_writer", "latest", "timestamp with time zone"),
    ("virksomhedslogin_writer", "written", "timestamp with time zone"),
];

/// table, privilege.
pub(super) const PRIVILEGES: [(&str, &str); 8] = [
    ("virksomhedslogin_login", "SELECT"),
    ("virksomhedslogin_login", "INSERT"),
    ("virksomhedslogin_login", "UPDATE"),
    ("virksomhedslogin_writer", "SELECT"),
    ("virksomhedslogin_writer", "INSERT"),
    ("virksomhedslogin_writer", "UPDATE"),
    ("virksomhedslogin_writer", "DELETE"),
    ("virksomhedslogin_schema", "SELECT"),
];

/// Our tables, in the order in which they are made; the row with the version comes last.
const NAMES: [&str; 3] = ["virksomhedslogin_login", "virksomhedslogin_writer", "virksomhedslogin_schema"];

/// What is told of a role that must create the tables and may not.
pub(super) const MAY_NOT_CREATE: &str = "the role may not create the tables of an empty store: give it the right to (CREATE on the \
     schema), or create them as docs/POSTGRES.md shows";
/// How often tables are made again that another instance makes at the same time.
const TRIES: usize = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// How the tables stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// They are ours, of this version, and may be used.
    Ours,
    /// There are none.
    Nothing {
        /// Whether this role may make them.
        may_create: bool,
    },
    /// They are being made, or that was interrupted: those that come last are missing. Not every database makes them in
    /// one transaction.
    Partial {
        /// What is missing first.
        missing: String,
        /// Whether this role may make the rest.
        may_create: bool,
    },
    /// There are tables of these names, but not ours, or of another version.
    Foreign {
        /// What is there.
        found: String,
        /// What should be.
        expected: String,
    },
    /// They are there, but this role may not do what it must.
    Forbidden(String),
}

/// How the tables stand, after making those that are missing where `create` is set.
pub(super) async fn prepare(lease: &PooledConnection, create: bool) -> Result<Found, Error> {
    let mut tries = 0;
    loop {
        let found = look(lease).await?;
        match found {
            Found::Nothing { may_create: false } if create => {
                return Ok(Found::Forbidden(MAY_NOT_CREATE.to_owned()));
            }
            Found::Nothing { may_create: true } | Found::Partial { may_create: true, .. } if create => {}
            found => return Ok(found),
        }
        tries += 1;
        match lease.batch_execute(TABLES).await {
            Ok(()) => log::info!("made the tables of an empty store"),
            Err(error) if tries < TRIES && is_race(&error) => tokio::time::sleep(BETWEEN_TRIES).await,
            Err(error) => return Err(error),
        }
    }
}

/// Whether another session did the same at the same time (`IF NOT EXISTS` does not wait for it).
fn is_race(error: &Error) -> bool {
    [
        SqlState::UNIQUE_VIOLATION,
        SqlState::DUPLICATE_TABLE,
        SqlState::DUPLICATE_OBJECT,
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
    ]
    .iter()
    .any(|state| error.code() == Some(state))
}

/// How the tables stand. Changes nothing.
async fn look(lease: &PooledConnection) -> Result<Found, Error> {
    let found = shape(lease).await?;
    if found == Found::Ours { use_of(lease).await } else { Ok(found) }
}

/// Whether tables of the right shape take our statements.
async fn use_of(lease: &PooledConnection) -> Result<Found, Error> {
    let found = match dry_run::keeps_a_login(lease).await {
        Ok(true) => return Ok(Found::Ours),
        Ok(false) => "a table of logins that does not keep what is written (is there a trigger?)".to_owned(),
        Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            return Ok(Found::Forbidden(DatabaseError::of(&error).reason().to_owned()));
        }
        Err(error) => match DatabaseError::of(&error) {
            DatabaseError::Unusable(reason) | DatabaseError::Other(reason) => {
                format!("tables that refuse a login: {reason}")
            }
            DatabaseError::Away(_) | DatabaseError::Refused(_) => return Err(error),
            // A lock, a conflict, a full disk: they say nothing of the tables.
            _ => return Ok(Found::Ours),
        },
    };
    Ok(Found::Foreign { found, expected: "the tables of docs/POSTGRES.md, with their keys".to_owned() })
}

/// Whether the tables have the columns, the rights and the version that they must have.
async fn shape(client: &Client) -> Result<Found, Error> {
    const SQL: &str = "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns \
         WHERE table_schema = ANY(current_schemas(false)) AND table_name::text = ANY($1)";
    let mut columns = BTreeMap::new();
    for row in client.query_typed(SQL, &[(&NAMES.as_slice(), Type::TEXT_ARRAY)]).await? {
        let name: (String, String) = (row.try_get(0)?, row.try_get(1)?);
        columns.insert(name, row.try_get::<_, String>(2)?);
    }
    let is_there = |name: &str| columns.keys().any(|(table, _)| table == name);
    for name in NAMES.into_iter().rev().filter(|name| !is_there(name)) {
        // A role without any right to a table does not see it there.
        match client.batch_execute(&format!("SELECT 1 FROM {name} LIMIT 0")).await {
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                return Ok(Found::Forbidden(lacking(name, "SELECT")));
            }
            Err(error) if !is_missing_table(&error) => return Err(error),
            _ => {}
        }
    }
    if columns.is_empty() {
        return nothing(client).await;
    }
    let made = NAMES.iter().take_while(|name| is_there(name)).count();
    let is_partial = made > 0 && !NAMES[made..].iter().any(|name| is_there(name));
    let expected = COLUMNS.iter().filter(|(table, ..)| !is_partial || is_there(table));
    for &(table, column, kind) in expected {
        let found = columns.get(&(table.to_owned(), column.to_owned())).map(String::as_str);
        if found != Some(kind) {
            let found = found.unwrap_or("nothing");
            return Ok(Found::Foreign {
                found: format!("{found} at {table}.{column}"),
                expected: kind.to_owned(),
            });
        }
    }
    if let Some(missing) = NAMES.get(made).filter(|_| is_partial) {
        return partial(client, missing).await;
    }
    for (table, privilege) in PRIVILEGES {
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&table, Type::TEXT), (&privilege, Type::TEXT)];
        let row = client.query_typed_one("SELECT has_table_privilege($1, $2)", &parameters).await?;
        if !row.try_get::<_, bool>(0)? {
            return Ok(Found::Forbidden(lacking(table, privilege)));
        }
    }
    let rows = client.query_typed("SELECT version FROM virksomhedslogin_schema WHERE id = 1", &[]).await?;
    let Some(row) = rows.first() else { return partial(client, "the row of virksomhedslogin_schema").await };
    let version: i32 = row.try_get(0)?;
    if version != VERSION {
        return Ok(Found::Foreign {
            found: format!("version {version}"),
            expected: format!("version {VERSION}"),
        });
    }
    durable(client).await
}

/// No tables; whether they could be made.
async fn nothing(client: &Client) -> Result<Found, Error> {
    Ok(Found::Nothing { may_create: may_create(client).await? })
}

/// Not all of the tables; whether the rest could be made.
async fn partial(client: &Client, missing: &str) -> Result<Found, Error> {
    Ok(Found::Partial { missing: missing.to_owned(), may_create: may_create(client).await? })
}

/// Whether tables could be made where the role's search path begins.
async fn may_create(client: &Client) -> Result<bool, Error> {
    const SQL: &str = "SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)";
    client.query_typed_one(SQL, &[]).await?.try_get(0)
}

fn lacking(table: &str, privilege: &str) -> String {
    format!("the role may not {privilege} on {table}: grant it as docs/POSTGRES.md shows")
}

/// What no acknowledgement may rest on: a table that a crash empties. A server that does not sync is warned of: whoever
/// set that meant it.
async fn durable(client: &Client) -> Result<Found, Error> {
    const SQL: &str = "SELECT relname::text FROM pg_class WHERE relpersistence <> 'p' AND oid IN \
         ('virksomhedslogin_login'::regclass, 'virksomhedslogin_writer'::regclass)";
    if let Some(row) = client.query_typed(SQL, &[]).await?.first() {
        return Ok(Found::Foreign {
            found: format!("{} as an unlogged or temporary table", row.try_get::<_, String>(0)?),
            expected: "a table that survives a crash".to_owned(),
        });
    }
    let row = client.query_typed_one("SELECT coalesce(current_setting('fsync', true), 'on')", &[]).await?;
    if row.try_get::<_, String>(0)? == "off" {
        log::warn!("the database runs with fsync = off: a power cut may lose what was answered 204");
    }
    Ok(Found::Ours)
}
