//! What would keep a store from being opened, found without opening it: nothing is made, written or locked for good.
//!
//! The database itself is not read: sled writes when it opens. So a fault inside it is left to the start and to
//! `verify`, which read every record.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

use super::{FORMAT, Found, LOCK, WITNESS, check_parts, database, look, nearest, read_format};
use crate::store::embedded::high_water_mark::HighWaterMark;
use crate::store::{OpenError, StoreState};

/// Less room than this, and sled can neither make nor open a database.
const LEAST_ROOM: u64 = 1 << 20;

/// How the directory stands, or why a store in it would not be opened: the first fault, in the order of opening.
pub(in crate::store) fn inspect(root: &Path) -> Result<StoreState, OpenError> {
    let root = &std::path::absolute(root).map_err(OpenError::io(root, "finding the directory"))?;
    let there = nearest(root).map_err(OpenError::io(root, "finding the directory"))?;
    if there != root {
        return makeable(root, there).map(|()| StoreState::Absent);
    }
    let found = look(root)?;
    usable(root, 0o700).map_err(OpenError::io(root, "setting permissions"))?;
    let holder = holder(root)?;
    if matches!(found, Found::Store) {
        let (version, store) = read_format(root, &root.join(FORMAT))?;
        check_parts(root, version)?;
        let sled = Path::new(database(version));
        for (part, wanted) in [
            (sled, 0o700),
            (Path::new(FORMAT), 0o600),
            (Path::new(LOCK), 0o600),
            (Path::new(WITNESS), 0o600),
            (&sled.join("conf"), 0o600),
            (&sled.join("db"), 0o600),
        ] {
            let name = part.display();
            usable(&root.join(part), wanted).map_err(OpenError::io(root, format!("using {name}")))?;
        }
        // Who holds the store is writing the witness now, and has read it already.
        if holder.is_none() {
            HighWaterMark::latest(&root.join(WITNESS), &store)
                .map_err(OpenError::io(root, "reading the witness"))?
                .map_err(|found| {
                    OpenError::damaged(root, found, "the witness of the last acknowledged write")
                })?;
        }
    }
    room(root)?;
    Ok(match (holder, found) {
        (Some(holder), _) => StoreState::InUse(holder),
        (None, Found::Store) => StoreState::Closed,
        (None, Found::HalfMade | Found::Nothing) => StoreState::Absent,
    })
}

/// Whether the directory could be made, with what is missing of its parents, in the one that is there.
fn makeable(root: &Path, there: &Path) -> Result<(), OpenError> {
    allowed(there, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(OpenError::io(root, "making the directory"))?;
    room(there)
}

/// The process that has the store open. The lock is tried for an instant; who starts in that very instant is told
/// that the store is in use, and is started again by its supervisor.
fn holder(root: &Path) -> Result<Option<String>, OpenError> {
    let failed = || OpenError::io(root, "taking the lock");
    let mut file = match File::open(root.join(LOCK)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed())?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(super::process_in(&mut file))),
        Err(TryLockError::Error(error)) => Err(failed()(error)),
    }
}

/// Whether it can be read and written, once opening has made it private. Its owner may do that; of others it is
/// wanted that it is private already, and theirs it then is not.
fn usable(path: &Path, wanted: u32) -> io::Result<()> {
    let file = match fs::metadata(path) {
        // A lock is made when it is missing.
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
        told => told,
    }
}

/// What the system would say to this process.
fn allowed(path: &Path, access: Access) -> io::Result<()> {
    Ok(rustix::fs::accessat(CWD, path, access, AtFlags::EACCESS)?)
}

fn room(path: &Path) -> Result<(), OpenError> {
    let looking = || OpenError::io(path, "looking for free space");
    let space = rustix::fs::statvfs(path).map_err(|error| looking()(error.into()))?;
    if space.f_bavail.saturating_mul(space.f_frsize) < LEAST_ROOM {
        return Err(looking()(Errno::NOSPC.into()));
    }
    Ok(())
}
