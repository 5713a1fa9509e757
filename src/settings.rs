//! The configuration: one TOML file and the environment → validated [`Settings`], or every error at once.
//!
//! Promises: what is loaded is valid in itself and in combination, names only files that could be read, and holds the
//! access table; an unknown key or variable stops the start. Does not: open the store, bind a listener, fetch anything or
//! judge the keys in a key file (`auth` does). File modes of secrets are not checked, since Docker and Kubernetes mount them
//! readable to all users of a container that has only one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::domain::access::AccessTable;
use crate::telemetry::logging::Format;

pub(crate) mod access;
mod error;
pub(crate) mod keys;
mod limits;
mod read;
mod server;
mod source;
mod store;
#[cfg(test)]
mod tests;
mod text;
mod token;
mod toml_file;

pub(crate) use error::{Origin, SettingError, SettingsErrors};
pub(crate) use limits::Limits;
pub(crate) use server::{Listen, Server};
pub(crate) use store::{Secret, Store, StoreKind};
pub(crate) use text::nearest;
pub(crate) use token::Token;

use source::Source;

/// The whole configuration, valid.
#[derive(Debug, Clone)]
pub struct Settings {
    pub server: Server,
    pub limits: Limits,
    pub store: Store,
    pub token: Token,
    /// Read again on SIGHUP with [`access::read_table`].
    pub access_file: PathBuf,
    /// Its content at the start.
    pub access_table: AccessTable,
    pub audit_file: AuditTarget,
    pub log_format: Format,
}

/// Where audit lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditTarget {
    Stdout,
    /// A file that is appended to.
    File(PathBuf),
}

/// The sections without errors, and every error. For `check`, which tries each section against this machine before it
/// reports all errors.
#[derive(Debug, Clone)]
pub(crate) struct Sections {
    pub server: Option<Server>,
    pub limits: Option<Limits>,
    pub store: Option<Store>,
    pub token: Option<Token>,
    /// The file and its content.
    pub access: Option<(PathBuf, AccessTable)>,
    pub audit_file: Option<AuditTarget>,
    pub log_format: Option<Format>,
    pub errors: Vec<SettingError>,
}

/// Loads the file and the environment over it, or returns every error of both, and of the access table.
///
/// Relative paths, those in variables too, are relative to the file's directory.
pub fn load(
    file: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Settings, SettingsErrors> {
    let sections = load_sections(file, environment);
    let errors = SettingsErrors(sections.errors.clone());
    sections.whole().filter(|_| errors.0.is_empty()).ok_or(errors)
}

/// Loads what [`load`] does, section by section.
pub(crate) fn load_sections(
    file: &Path,
    environment: impl Iterator<Item = (OsString, OsString)>,
) -> Sections {
    let source = &mut Source::gather(file, environment);
    Sections {
        server: source.section(server::read).flatten(),
        limits: source.section(limits::read),
        store: source.section(store::read).flatten(),
        token: source.section(token::read).flatten(),
        access: source.section(read_access).flatten(),
        audit_file: source.section(read_audit).flatten(),
        log_format: source.section(read_log_format).flatten(),
        errors: std::mem::take(&mut source.errors),
    }
}

impl Sections {
    /// The settings, when no section had an error.
    fn whole(self) -> Option<Settings> {
        let (access_file, access_table) = self.access?;
        Some(Settings {
            server: self.server?,
            limits: self.limits?,
            store: self.store?,
            token: self.token?,
            access_file,
            access_table,
            audit_file: self.audit_file?,
            log_format: self.log_format?,
        })
    }
}

fn read_access(source: &mut Source) -> Option<(PathBuf, AccessTable)> {
    let file = source.path(&keys::ACCESS_FILE)?;
    let text = source.content(&keys::ACCESS_FILE, &file, Ok)?;
    match access::parse_table(&text, &file) {
        Ok(access_table) => Some((file, access_table)),
        Err(errors) => {
            source.errors.extend(errors);
            None
        }
    }
}

fn read_audit(source: &mut Source) -> Option<AuditTarget> {
    let name = source.text(&keys::AUDIT_FILE)?;
    if name.ends_with('/') {
        source.error(&keys::AUDIT_FILE, "names a directory", "name a file in it, or - for standard output");
    }
    Some(if name == "-" { AuditTarget::Stdout } else { AuditTarget::File(source.resolved(&name)) })
}

fn read_log_format(source: &mut Source) -> Option<Format> {
    let name = source.text(&keys::LOG_FORMAT)?;
    Some(if name == "json" { Format::Json } else { Format::Text })
}
