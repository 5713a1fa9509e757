//! Symbolic links to what is not there: to a volume that is not mounted, say.
//!
//! A file or directory created through one would lie where nobody looks for it.

use std::io;
use std::path::Path;

/// Refuses a path that is a symbolic link to nothing, or lies below one.
///
/// # Errors
/// When it is one, with its name and its target.
pub(crate) fn refuse_dangling_link(path: &Path) -> io::Result<()> {
    let dangling = |path: &&Path| path.is_symlink() && matches!(path.try_exists(), Ok(false));
    let Some(link) = path.ancestors().find(dangling) else { return Ok(()) };
    let (shown, target) = (link.display(), link.read_link()?);
    let reason = format!("{shown} is a symbolic link to {}, which is not there", target.display());
    Err(io::Error::new(io::ErrorKind::NotFound, format!("{reason}; mount its volume, or remove the link")))
}
