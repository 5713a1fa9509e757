//! What would keep a store from being opened, found without opening it: nothing is made, written or kept locked.
//!
//! The database itself is not read, since sled writes when it opens: damage inside it is found by the start and by
//! `verify`.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

use super::files::{
    FORMAT, HIGH_WATER_MARK, LOCK, check_parts, database, is_store, nearest, process_in, read_format,
};
use super::high_water_mark::HighWaterMark;
use crate::store::error::OpenError;
use crate::store::report::StoreState;

/// The room without which sled can neither make nor open a database.
const LEAST_ROOM: u64 = 1 << 20;

/// The state of the directory, or the first error that opening it would meet.
pub(in crate::store) fn inspect(root: &Path) -> Result<StoreState, OpenError> {
    let root = &std::path::absolute(root).map_err(OpenError::io(root, "finding the directory"))?;
    let existing = nearest(root).map_err(OpenError::io(root, "finding the directory"))?;
    if existing != root {
        allowed(existing, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(OpenError::io(root, "making the directory"))?;
        return check_room(existing).map(|()| StoreState::Absent);
    }
    let is_store = is_store(root)?;
    check_usable(root, 0o700).map_err(OpenError::io(root, "setting permissions"))?;
    let holder = holder(root)?;
    if is_store {
        let (version, store) = read_format(root)?;
        check_parts(root, version)?;
        let sled = Path::new(database(version));
        for (part, wanted) in [
            (sled, 0o700),
            (Path::new(FORMAT), 0o600),
            (Path::new(LOCK), 0o600),
            (Path::new(HIGH_WATER_MARK), 0o600),
            (&sled.join("conf"), 0o600),
            (&sled.join("db"), 0o600),
        ] {
            let name = part.display();
            check_usable(&root.join(part), wanted).map_err(OpenError::io(root, format!("using {name}")))?;
        }
        // The process that holds the store is writing the mark now, and has read it already.
        if holder.is_none() {
            HighWaterMark::open(root, &store, false)?;
        }
    }
    check_room(root)?;
    Ok(match (holder, is_store) {
        (Some(holder), _) => StoreState::InUse(holder),
        (None, true) => StoreState::Closed,
        (None, false) => StoreState::Absent,
    })
}

/// The process that has the store open. The lock is taken for an instant; a process that starts in that very instant
/// finds the store in use and is started again by its supervisor.
fn holder(root: &Path) -> Result<Option<String>, OpenError> {
    let failed = || OpenError::io(root, "taking the lock");
    let mut file = match File::open(root.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed())?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(process_in(&mut file))),
        Err(TryLockError::Error(error)) => Err(failed()(error)),
    }
}

/// Checks that the file can be read and written once opening has made it private. Only its owner can make it so; for
/// others it must be private already.
fn check_usable(path: &Path, wanted: u32) -> io::Result<()> {
    let file = match fs::metadata(path) {
        // A missing lock is made.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file?,
    };
    let user = rustix::process::geteuid();
    let owner = user.is_root() || file.uid() == user.as_raw();
    if !owner && file.permissions().mode() & 0o7777 != wanted {
        return Err(Errno::PERM.into());
    }
    match allowed(path, Access::READ_OK | Access::WRITE_OK) {
        // The lock is opened before anything is made private.
        Err(error) if owner && error.kind() == io::ErrorKind::PermissionDenied && !path.ends_with(LOCK) => {
            Ok(())
        }
        result => result,
    }
}

fn allowed(path: &Path, access: Access) -> io::Result<()> {
    Ok(rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS)?)
}

fn check_room(path: &Path) -> Result<(), OpenError> {
    let failed = || OpenError::io(path, "finding free space");
    let space = rustix::fs::statvfs(path).map_err(|error| failed()(error.into()))?;
    if space.f_bavail.saturating_mul(space.f_frsize) < LEAST_ROOM {
        return Err(failed()(Errno::NOSPC.into()));
    }
    Ok(())
}
