//! The tables: their SQL, which docs/POSTGRES.md prints, whether they are there, and creating them. Never changes or removes
//! a table.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error};

use super::connection::{Parameter, PooledConnection};
use super::error::{DatabaseError, Kind};
use super::sql_types;
use super::statements::{LOOK_UP, NEXT_PAGE, WRITERS, Writer};
use crate::domain::clock::ClockLimits;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::store::Record;

/// The version of the tables that this program reads and writes.
const VERSION: i32 = 1;

/// Portable: no extension, sequence or trigger, and types that mean the same everywhere.
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

/// Table, column, type in the words of the information schema.
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

pub(super) const MAY_ERASE: &str = "the role may not DELETE on virksomhedslogin_login, which only `erase` needs: grant it as docs/POSTGRES.md shows, \
     or erase as another role";

/// Our tables in the order of their creation.
const NAMES: [&str; 3] = ["virksomhedslogin_login", "virksomhedslogin_writer", "virksomhedslogin_schema"];

pub(super) const MAY_NOT_CREATE: &str = "the role may not create the tables of an empty store: grant it CREATE on the schema, or create them as \
     docs/POSTGRES.md shows";
const ATTEMPTS: usize = 5;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tables {
    /// Of this version, and usable.
    Ours,
    Missing {
        may_create: bool,
    },
    /// The last ones are missing, because their creation is under way or was interrupted: not every database creates
    /// them in one transaction.
    Partial {
        missing: String,
        may_create: bool,
    },
    /// Of another program or version.
    Foreign {
        found: String,
        expected: String,
    },
    /// The role lacks a right.
    Forbidden(String),
}

impl Tables {
    fn foreign(found: String, expected: impl Into<String>) -> Self {
        Self::Foreign { found, expected: expected.into() }
    }

    fn lacking(privilege: &str, table: &str) -> Self {
        Self::Forbidden(format!(
            "the role may not {privilege} on {table}: grant it as docs/POSTGRES.md shows"
        ))
    }
}

/// The state of the tables, after creating those that are missing if `create` is set.
pub(super) async fn prepare(connection: &PooledConnection, create: bool) -> Result<Tables, Error> {
    let mut attempts = 0;
    loop {
        match inspect(connection).await? {
            Tables::Missing { may_create: false } if create => {
                return Ok(Tables::Forbidden(MAY_NOT_CREATE.to_owned()));
            }
            Tables::Missing { may_create: true } | Tables::Partial { may_create: true, .. } if create => {}
            found => return Ok(found),
        }
        attempts += 1;
        match connection.batch_execute(TABLES).await {
            Ok(()) => log::info!("created the tables of an empty store"),
            // `IF NOT EXISTS` does not wait for another instance that creates the same table.
            Err(_) if attempts < ATTEMPTS => tokio::time::sleep(BETWEEN_ATTEMPTS).await,
            Err(error) => return Err(error),
        }
    }
}

async fn inspect(connection: &PooledConnection) -> Result<Tables, Error> {
    let found = shape(connection).await?;
    if found == Tables::Ours { usability(connection).await } else { Ok(found) }
}

/// Whether tables of the right shape accept our statements.
async fn usability(connection: &PooledConnection) -> Result<Tables, Error> {
    let found = match keeps_a_login(connection).await {
        Ok(true) => return Ok(Tables::Ours),
        Ok(false) => "a table of logins that does not keep what is written (is there a trigger?)".to_owned(),
        Err(error) => {
            let DatabaseError { kind, reason } = DatabaseError::from(&error);
            match kind {
                _ if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                    return Ok(Tables::Forbidden(reason));
                }
                Kind::Unusable | Kind::Other => format!("tables that reject a login: {reason}"),
                Kind::Unavailable | Kind::Rejected => return Err(error),
                // A lock, a conflict, a full disk: they say nothing about the tables.
                _ => return Ok(Tables::Ours),
            }
        }
    };
    Ok(Tables::foreign(found, "the tables of docs/POSTGRES.md, with their keys"))
}

/// Whether the tables have the columns, rights, version and durability that they must have.
async fn shape(client: &Client) -> Result<Tables, Error> {
    let columns = columns(client).await?;
    let exists = |name: &str| columns.keys().any(|(table, _)| table == name);
    for name in NAMES.into_iter().rev().filter(|name| !exists(name)) {
        // The information schema hides a table from a role without any right to it.
        let error = client.batch_execute(&format!("SELECT 1 FROM {name} LIMIT 0")).await.err();
        match error.as_ref().and_then(Error::code) {
            Some(&SqlState::INSUFFICIENT_PRIVILEGE) => return Ok(Tables::lacking("SELECT", name)),
            Some(&SqlState::UNDEFINED_TABLE) => {}
            _ => error.map_or(Ok(()), Err)?,
        }
    }
    let created = NAMES.iter().take_while(|name| exists(name)).count();
    let is_partial = created > 0 && !NAMES[created..].iter().any(|name| exists(name));
    if columns.is_empty() {
        return Ok(Tables::Missing { may_create: may_create(client).await? });
    }
    for (table, column, kind) in COLUMNS.into_iter().filter(|(table, ..)| !is_partial || exists(table)) {
        let found = columns.get(&(table.to_owned(), column.to_owned())).map_or("nothing", String::as_str);
        if found != kind {
            return Ok(Tables::foreign(format!("{found} at {table}.{column}"), kind));
        }
    }
    if let Some(missing) = NAMES.get(created).filter(|_| is_partial) {
        return partial(client, missing).await;
    }
    for (table, privilege) in PRIVILEGES {
        let parameters: [Parameter<'_>; 2] = [(&table, Type::TEXT), (&privilege, Type::TEXT)];
        let row = client.query_typed_one("SELECT has_table_privilege($1, $2)", &parameters).await?;
        if !row.try_get::<_, bool>(0)? {
            return Ok(Tables::lacking(privilege, table));
        }
    }
    let rows = client.query_typed("SELECT version FROM virksomhedslogin_schema WHERE id = 1", &[]).await?;
    let Some(row) = rows.first() else { return partial(client, "the row of virksomhedslogin_schema").await };
    let version: i32 = row.try_get(0)?;
    if version != VERSION {
        return Ok(Tables::foreign(format!("version {version}"), format!("version {VERSION}")));
    }
    durability(client).await
}

/// Table and column → type.
async fn columns(client: &Client) -> Result<BTreeMap<(String, String), String>, Error> {
    const SQL: &str = "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns \
         WHERE table_schema = ANY(current_schemas(false)) AND table_name::text = ANY($1)";
    let rows = client.query_typed(SQL, &[(&NAMES.as_slice(), Type::TEXT_ARRAY)]).await?;
    rows.iter().map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))).collect()
}

async fn partial(client: &Client, missing: &str) -> Result<Tables, Error> {
    Ok(Tables::Partial { missing: missing.to_owned(), may_create: may_create(client).await? })
}

/// Whether the role may create tables in the first schema of its search path.
async fn may_create(client: &Client) -> Result<bool, Error> {
    const SQL: &str = "SELECT coalesce(has_schema_privilege(current_schema(), 'CREATE'), false)";
    client.query_typed_one(SQL, &[]).await?.try_get(0)
}

/// A table that a crash empties is an error. A server without fsync is only warned of, because it was set on purpose.
async fn durability(client: &Client) -> Result<Tables, Error> {
    const SQL: &str = "SELECT relname::text FROM pg_class WHERE relpersistence <> 'p' AND oid IN \
         ('virksomhedslogin_login'::regclass, 'virksomhedslogin_writer'::regclass)";
    if let Some(row) = client.query_typed(SQL, &[]).await?.first() {
        let found = format!("{} as an unlogged or temporary table", row.try_get::<_, String>(0)?);
        return Ok(Tables::foreign(found, "a table that survives a crash"));
    }
    let row = client.query_typed_one("SELECT coalesce(current_setting('fsync', true), 'on')", &[]).await?;
    if row.try_get::<_, String>(0)? == "off" {
        log::warn!("the database runs with fsync = off: a power cut may lose what was answered 204");
    }
    Ok(Tables::Ours)
}

/// Short, because a locked row or table says nothing about whether the tables fit.
const LOCK_TIMEOUT: &str = "100ms";
const BEGIN: &str = "BEGIN; SET LOCAL lock_timeout = '100ms'";

/// Whether a login that is written can be read and listed by our statements; it is rolled back. Right columns and rights
/// do not suffice: a missing primary key, a rule, a row policy or a further NOT NULL column rejects every login too.
pub(super) async fn keeps_a_login(connection: &PooledConnection) -> Result<bool, Error> {
    // Another company and another writer each time, so that no other session's row is waited for.
    let Ok(cvr) = Cvr::from_number(fastrand::u32(..=Cvr::MAX.number())) else { return Ok(true) };
    let writer = Writer::new("dry-run", &uuid::Uuid::new_v4().to_string(), ClockLimits::NONE);
    let record = Record { cvr, login: LoginSpan::at(Timestamp::MIN) };
    connection.begin(BEGIN).await?;
    let _ = writer.record(connection, &[record], LOCK_TIMEOUT).await?;
    let number = cvr.number().cast_signed();
    let kept = connection.rows(LOOK_UP, &[(&vec![number], Type::INT4_ARRAY)]).await?;
    connection.query_typed(WRITERS, &[]).await?;
    let page: [Parameter<'_>; 2] = [(&(number - 1), Type::INT4), (&1_i64, Type::INT8)];
    connection.query_typed(NEXT_PAGE, &page).await?;
    connection.end("ROLLBACK").await?;
    let first = kept.first().and_then(|row| sql_types::record(row).ok()).map(|record| record.login.first());
    Ok(first == Some(Timestamp::MIN))
}
