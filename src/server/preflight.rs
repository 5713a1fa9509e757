//! What would stop a start on this machine, found without one: nothing is made or written, the store is not opened, no
//! address is kept.
//!
//! `check` runs it before a restart, beside the service that will be restarted. So an address or a store in use is a note.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, OFlags};

use super::absent_store::earlier_store;
use super::error::StartError;
use super::listener::{SocketPath, bound, exposed};
use super::wiring::{store_options, unencrypted};
use crate::audit::{WIDEST_MODE, wide_mode};
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::timestamp::Timestamp;
use crate::files::{self, directory};
use crate::settings::{AuditTarget, Listen, Sections, Store as Settings};
use crate::store::{Backend, Database, OpenError, Options, Store, StoreState};

#[derive(Debug, Default)]
pub(crate) struct Preflight {
    /// What would stop the start, as the start itself would report it.
    pub errors: Vec<StartError>,
    /// What may be intended, but should be known.
    pub notes: Vec<String>,
}

/// Tries everything that a start needs but the keys ([`crate::auth::check_source`] tries those).
pub(crate) fn preflight(sections: &Sections) -> Preflight {
    let mut found = Preflight::default();
    if let Some(AuditTarget::File(path)) = &sections.audit_file {
        found.tried(appendable(path).map_err(|error| StartError::Audit(path.clone(), error)));
        if let Some(mode) = path.metadata().ok().as_ref().and_then(wide_mode) {
            let (shown, kept) = (path.display(), mode & WIDEST_MODE);
            found.notes.push(format!(
                "audit.file: {shown} is open to others (mode {mode:04o}); the service would make it {kept:04o}"
            ));
        }
    }
    match sections.store.as_ref().map(|settings| (settings, store_options(settings))) {
        Some((settings, Ok(options))) => {
            found.notes.extend(unencrypted(&options.backend));
            match &options.backend {
                Backend::Directory(path) => {
                    found.store(path, &options, settings, sections.audit_file.as_ref());
                }
                Backend::Database(database) => found.database(database, &options),
            }
        }
        Some((_, Err(error))) => found.errors.push(error),
        None => {}
    }
    if let Some(server) = &sections.server {
        found.listener("server.listen", &server.listen);
        if let Some(listen) = &server.management {
            found.listener("server.management", listen);
            if let Listen::Tcp(address) = listen {
                found.notes.extend(exposed(*address));
            }
        }
    }
    found
}

impl Preflight {
    fn tried(&mut self, tried: Result<(), StartError>) {
        self.errors.extend(tried.err());
    }

    fn store(&mut self, path: &Path, options: &Options, settings: &Settings, audit: Option<&AuditTarget>) {
        let shown = path.display();
        // The clock is clamped to the years that a login can have.
        if SystemClock.now() == Timestamp::MIN {
            self.errors.push(OpenError::Clock(path.to_owned()).into());
        }
        match Store::inspect(options) {
            Ok(StoreState::Closed) => {}
            Ok(StoreState::Absent) => {
                // The audit file is made first, and an empty store only in an empty directory.
                if path.exists()
                    && let Some(AuditTarget::File(audit)) = audit
                    && let Ok(inside) = audit.strip_prefix(path)
                {
                    let found = inside.components().next().map(|name| name.as_os_str().display().to_string());
                    let found = found.unwrap_or_default();
                    self.errors.push(OpenError::Foreign { path: path.to_owned(), found }.into());
                    return;
                }
                let earlier = earlier_store(settings, audit).map_or_else(String::new, |sign| {
                    format!(", although {} says that there was one; is its volume mounted?", sign.display())
                });
                self.notes.push(format!(
                    "store.path: there is no store at {shown}; an empty one will be made{earlier}"
                ));
            }
            Ok(StoreState::InUse(process)) => {
                let process = if process.is_empty() { process } else { format!(" ({process})") };
                self.in_use(&format!("store.path: the store at {shown} is in use by a process{process}"));
            }
            Err(error) => self.errors.push(error.into()),
        }
    }

    fn database(&mut self, database: &Database, options: &Options) {
        let address = &database.address;
        match Store::inspect(options) {
            Ok(StoreState::Absent) if database.create_schema => self.notes.push(format!(
                "store.url: the database at {address} lacks tables of ours; those of an empty store will be made"
            )),
            Ok(StoreState::Absent) => self.errors.push(OpenError::NoTables(address.to_string()).into()),
            Ok(_) => {}
            // The start waits for it, and answers 503 meanwhile.
            Err(error @ OpenError::Unavailable { .. }) => self.notes.push(format!(
                "store.url: {error}; the service would start, answer 503 and wait for it"
            )),
            Err(error) => self.errors.push(error.into()),
        }
    }

    fn in_use(&mut self, what: &str) {
        self.notes.push(format!("{what}; right if that is the service to be restarted"));
    }

    fn listener(&mut self, key: &'static str, listen: &Listen) {
        let failed = |error| StartError::Listen { key, address: listen.to_string(), error };
        let path = match listen {
            Listen::Unix(path) => path,
            Listen::Tcp(address) => {
                return match bound(*address) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                        self.in_use(&format!("{key}: {address} is in use"));
                    }
                    Err(error) => self.errors.push(failed(error)),
                };
            }
        };
        let directory = directory(path);
        match SocketPath::check(path) {
            Err(error) => self.errors.push(failed(error)),
            Ok(SocketPath::InUse) => self.in_use(&format!("{key}: a process listens on {listen}")),
            // The service manager makes a service's directory below /run when it starts it.
            Ok(SocketPath::Free) if !directory.exists() && directory.starts_with("/run") => {
                let shown = directory.display();
                self.notes.push(format!("{key}: {shown} is not there now; the service manager must make it"));
            }
            _ => self.tried(writable(directory).map_err(failed)),
        }
    }
}

/// Whether the file could be opened for appending, or made.
fn appendable(path: &Path) -> io::Result<()> {
    files::reject_dangling_link(path)?;
    // Not blocking: a pipe without a reader must not hold the check up.
    let flags = files::flags(OFlags::NONBLOCK);
    match OpenOptions::new().append(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => writable(directory(path)),
        opened => opened.map(drop),
    }
}

/// Whether this process could make a file in this directory.
fn writable(directory: &Path) -> io::Result<()> {
    // With the dot it is a directory, or an error.
    Ok(rustix::fs::accessat(CWD, directory.join("."), Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
}
