//! A store that is missing although there was one: its volume may not be mounted.

use std::path::Path;

use crate::settings::{AuditTarget, Store as Settings};
use crate::store::{Backend, OpenError, Options, Store};

/// Warns before an empty store is made beside the signs of an earlier one. Changes nothing.
///
/// # Errors
/// Opening the store would fail, because it is missing or because of foreign files in its directory.
pub(crate) fn warn(settings: &Settings, audit: &AuditTarget, options: &Options) -> Result<(), OpenError> {
    if let (true, Backend::Directory(path)) = (Store::is_absent(options)?, &options.backend)
        && let Some(sign) = earlier_store(settings, Some(audit))
    {
        log::warn!(
            "there is no store at {}, although {} says that there was one; is its volume mounted? An empty one is made",
            path.display(),
            sign.display()
        );
    }
    Ok(())
}

/// The file that shows that there was a store: the package's marker, or an audit file with lines.
pub(super) fn earlier_store<'a>(settings: &'a Settings, audit: Option<&'a AuditTarget>) -> Option<&'a Path> {
    if settings.marker.exists() {
        return Some(&settings.marker);
    }
    let Some(AuditTarget::File(path)) = audit else { return None };
    path.metadata().is_ok_and(|file| file.is_file() && file.len() > 0).then_some(path)
}
