//! What would stop a start on this machine, found without one: nothing is made or written, the store is not opened, no
//! address is kept.
//!
//! `check` runs it before a restart, beside the service that will be restarted. So an address or a store in use is a note.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, OFlags};

use super::error::StartError;
use super::listener::{SocketPath, bound, exposed};
use super::store_setup::{earlier_store, store_options, unencrypted};
use crate::audit::{WIDEST_MODE, wide_mode};
use crate::auth::CertificateBound;
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::timestamp::Timestamp;
use crate::files::{self, directory};
use crate::settings::{AuditTarget, Listen, Sections, Store as Settings};
use crate::store::{Backend, Database, OpenError, Options, Store, StoreState};

const RESTARTED: &str = "; right if that is the service to be restarted";

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
        found.add(audit_file(path));
    }
    if let Some(settings) = &sections.store {
        match store_options(settings) {
            Ok(options) => {
                found.notes.extend(unencrypted(&options.backend));
                found.add(match &options.backend {
                    Backend::Directory(path) => store(path, &options, settings, sections.audit_file.as_ref()),
                    Backend::Database(address) => database(address, &options),
                });
            }
            Err(error) => found.errors.push(error),
        }
    }
    if let Some(server) = &sections.server {
        found.notes.extend(server.trusted_proxies.everyone().map(|network| {
            format!(
                "server.trusted_proxies: {network} trusts every client: whoever reaches server.listen can claim any \
                 address, and any certificate"
            )
        }));
        let bound = sections.token.as_ref().map(|token| token.rules.certificate_bound);
        if bound == Some(CertificateBound::Required) && server.trusted_proxies.is_empty() {
            found.notes.push(
                "token.certificate_bound: required, but server.trusted_proxies is empty: no certificate is believed, and \
                 every token is refused"
                    .to_owned(),
            );
        }
        found.add(listener("server.listen", &server.listen));
        if let Some(listen) = &server.management {
            found.add(listener("server.management", listen));
            if let Listen::Tcp(address) = listen {
                found.notes.extend(exposed(*address));
            }
        }
    }
    found
}

impl Preflight {
    fn add(&mut self, tried: Result<Option<String>, StartError>) {
        match tried {
            Ok(note) => self.notes.extend(note),
            Err(error) => self.errors.push(error),
        }
    }
}

fn audit_file(path: &Path) -> Result<Option<String>, StartError> {
    appendable(path).map_err(|error| StartError::Audit(path.to_owned(), error))?;
    Ok(path.metadata().ok().as_ref().and_then(wide_mode).map(|mode| {
        let (shown, kept) = (path.display(), mode & WIDEST_MODE);
        format!(
            "audit.file: {shown} is open to others (mode {mode:04o}); the service would make it {kept:04o}"
        )
    }))
}

fn store(
    path: &Path,
    options: &Options,
    settings: &Settings,
    audit: Option<&AuditTarget>,
) -> Result<Option<String>, StartError> {
    let shown = path.display();
    // The clock is clamped to the years that a login can have.
    if SystemClock.now() == Timestamp::MIN {
        return Err(OpenError::Clock(path.to_owned()).into());
    }
    Ok(match Store::inspect(options)? {
        StoreState::Closed => None,
        StoreState::Absent => {
            // The audit file is made first, and an empty store only in an empty directory.
            if path.exists()
                && let Some(AuditTarget::File(audit)) = audit
                && let Ok(inside) = audit.strip_prefix(path)
            {
                let found = inside.iter().next().unwrap_or_default().display().to_string();
                return Err(OpenError::Foreign { path: path.to_owned(), found }.into());
            }
            let earlier = earlier_store(settings, audit).map_or_else(String::new, |sign| {
                format!(", although {} says that there was one; is its volume mounted?", sign.display())
            });
            Some(format!("store.path: there is no store at {shown}; an empty one will be made{earlier}"))
        }
        StoreState::InUse(process) => {
            let process = if process.is_empty() { process } else { format!(" ({process})") };
            Some(format!("store.path: the store at {shown} is in use by a process{process}{RESTARTED}"))
        }
    })
}

fn database(database: &Database, options: &Options) -> Result<Option<String>, StartError> {
    let address = &database.address;
    match Store::inspect(options) {
        Ok(StoreState::Absent) if database.create_schema => Ok(Some(format!(
            "store.url: the database at {address} lacks tables of ours; those of an empty store will be made"
        ))),
        Ok(StoreState::Absent) => Err(OpenError::NoTables(address.to_string()).into()),
        Ok(_) => Ok(None),
        // The start waits for it, and answers 503 meanwhile.
        Err(error @ OpenError::Unavailable { .. }) => {
            Ok(Some(format!("store.url: {error}; the service would start, answer 503 and wait for it")))
        }
        Err(error) => Err(error.into()),
    }
}

fn listener(key: &'static str, listen: &Listen) -> Result<Option<String>, StartError> {
    let tried = match listen {
        Listen::Tcp(address) => match bound(*address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Ok(Some(format!("{key}: {address} is in use{RESTARTED}")))
            }
            tried => tried.map(|_| None),
        },
        Listen::Unix(path) => {
            let directory = directory(path);
            match SocketPath::check(path) {
                Ok(SocketPath::InUse) => Ok(Some(format!("{key}: a process listens on {listen}{RESTARTED}"))),
                // The service manager makes a service's directory below /run when it starts it.
                Ok(SocketPath::Free) if !directory.exists() && directory.starts_with("/run") => {
                    let shown = directory.display();
                    Ok(Some(format!("{key}: {shown} is not there now; the service manager must make it")))
                }
                checked => checked.and_then(|_| writable(directory)).map(|()| None),
            }
        }
    };
    tried.map_err(|error| StartError::Listen { key, address: listen.to_string(), error })
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
