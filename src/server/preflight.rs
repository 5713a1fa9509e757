//! What would stop [`App::build`](super::App::build) on this machine, found without building: nothing is made or
//! written, the store is not opened, and no address is kept.
//!
//! It is asked before a restart, while the service that will be restarted still holds its addresses and its store. So
//! that one of these is held is no fault, but a note.

use std::fs::OpenOptions;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{Access, AtFlags, CWD, OFlags};

use super::absent_store::earlier_store;
use super::listener::{SocketPath, bound, exposed};
use super::{AuditTarget, StartError, in_the_clear, store_options};
use crate::audit::{WIDEST_MODE, wide_mode};
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::timestamp::Timestamp;
use crate::links::refuse_dangling_link;
use crate::regular_file;
use crate::settings::{Listen, Sections, Server, Store as Settings};
use crate::store::{Backend, Database, OpenError, Options, Store, StoreState};

/// What was found out.
#[derive(Debug, Default)]
pub(crate) struct Preflight {
    /// What would stop the start, as the start itself would tell it.
    pub faults: Vec<StartError>,
    /// What need not be wrong, but should be known.
    pub notes: Vec<String>,
}

/// Tries everything that a start needs, but for the keys ([`crate::auth::check_source`] tries those).
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
    if let Some(settings) = &sections.store {
        match store_options(settings) {
            Ok(options) => {
                found.notes.extend(in_the_clear(&options.backend));
                match &options.backend {
                    Backend::Directory(path) => {
                        found.store(path, &options, settings, sections.audit_file.as_ref());
                    }
                    Backend::Database(database) => found.database(database, options.deadline),
                }
            }
            Err(error) => found.faults.push(error),
        }
    }
    if let Some(server) = &sections.server {
        found.server(server);
    }
    found
}

impl Preflight {
    fn tried(&mut self, tried: Result<(), StartError>) {
        self.faults.extend(tried.err());
    }

    fn store(&mut self, path: &Path, options: &Options, settings: &Settings, audit: Option<&AuditTarget>) {
        let shown = path.display();
        // What the clock shows is clamped to the years that a login can have.
        if SystemClock.now() == Timestamp::MIN {
            self.faults.push(OpenError::Clock(path.to_owned()).into());
        }
        match Store::is_absent(options).and_then(|_| Store::inspect(path)) {
            Ok(StoreState::Closed) => {}
            Ok(StoreState::Absent) => {
                // The audit file is made first, and an empty store is made in an empty directory only.
                if path.exists()
                    && let Some(AuditTarget::File(audit)) = audit
                    && let Ok(inside) = audit.strip_prefix(path)
                {
                    let found = inside.components().next().map(|name| name.as_os_str().display().to_string());
                    let found = found.unwrap_or_default();
                    self.faults.push(OpenError::Foreign { path: path.to_owned(), found }.into());
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
                self.notes.push(format!(
                    "store.path: the store at {shown} is in use by a process{process}; right if that is the service \
                     to be restarted"
                ));
            }
            Err(error) => self.faults.push(error.into()),
        }
    }

    fn database(&mut self, database: &Database, deadline: Duration) {
        let address = &database.address;
        match Store::inspect_database(database, deadline) {
            Ok(StoreState::Absent) if database.create_schema => self.notes.push(format!(
                "store.url: the database at {address} lacks tables of ours; those of an empty store will be made"
            )),
            Ok(StoreState::Absent) => self.faults.push(OpenError::NoTables(address.to_string()).into()),
            Ok(_) => {}
            // The start waits for it, and answers 503 meanwhile.
            Err(error @ OpenError::Unavailable { .. }) => self.notes.push(format!(
                "store.url: {error}; the service would start, answer 503 and wait for it"
            )),
            Err(error) => self.faults.push(error.into()),
        }
    }

    fn server(&mut self, server: &Server) {
        self.listener("server.listen", &server.listen);
        if let Some(listen) = &server.management {
            self.listener("server.management", listen);
            if let Listen::Tcp(address) = listen {
                self.notes.extend(exposed(*address));
            }
        }
    }

    fn listener(&mut self, key: &'static str, listen: &Listen) {
        match listen {
            Listen::Tcp(address) => self.address(key, *address),
            Listen::Unix(path) => self.socket(key, path),
        }
    }

    fn address(&mut self, key: &'static str, address: SocketAddr) {
        match bound(address) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => self
                .notes
                .push(format!("{key}: {address} is in use; right if that is the service to be restarted")),
            Err(error) => {
                self.faults.push(StartError::Listen { key, address: address.to_string(), error });
            }
        }
    }

    fn socket(&mut self, key: &'static str, path: &Path) {
        let denied_calls =
            |error| StartError::Listen { key, address: format!("unix:{}", path.display()), error };
        let folder = folder(path);
        match SocketPath::check(path) {
            Err(error) => self.faults.push(denied_calls(error)),
            Ok(SocketPath::InUse) => self.notes.push(format!(
                "{key}: somebody listens on unix:{}; right if that is the service to be restarted",
                path.display()
            )),
            // A directory of a service below /run is made by the supervisor when it starts it.
            Ok(SocketPath::Free) if !folder.exists() && folder.starts_with("/run") => {
                self.notes.push(format!(
                    "{key}: {} is not there now; whoever starts the service must make it",
                    folder.display()
                ));
            }
            _ => self.tried(writable(folder).map_err(denied_calls)),
        }
    }
}

/// Whether the file could be opened for appending, or made.
fn appendable(path: &Path) -> io::Result<()> {
    refuse_dangling_link(path)?;
    // Not blocking: a pipe without a reader must not hold the check up.
    let flags = regular_file::flags(OFlags::NONBLOCK);
    match OpenOptions::new().append(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => writable(folder(path)),
        opened => opened.map(drop),
    }
}

/// Whether this process could make a file in this directory.
fn writable(folder: &Path) -> io::Result<()> {
    // With the dot it is a directory, or an error.
    Ok(rustix::fs::accessat(CWD, folder.join("."), Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)?)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
