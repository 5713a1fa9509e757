//! The directory of a store: inspected, created, locked, closed to others, and upgraded.
//!
//! Creation: `creating` is made durable first, then the parts are made and synced, then `format`, then `creating` is
//! removed. Nothing is acknowledged before that, so a directory that was left half-made may be made again.
//!
//! Upgrade: a store of version 1 gets a new database beside the old one, which becomes the store's when the new
//! `format` is renamed. The unused database is removed at the next start.
//!
//! Erasure: a new database in `sled-v2.next` changes places with the present one, in one step of the file system. What is
//! in `sled-v2.next` after a crash is unused, whether it is the one or the other.

use std::fs::{self, DirBuilder, File, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::batch_record::StoreId;
use super::files::{
    CHANGE_LOG, CREATING, FORMAT, HIGH_WATER_MARK, LOCK, NEW_FORMAT, NEXT_SLED, SLED, SPACE_PROBE, VERSION,
    VERSION_1, check_parts, database, format_text, is_absent, is_same_file, is_store, nearest, parts,
    process_in, read_format, sync_directory, walk,
};
use super::high_water_mark::HighWaterMark;
use crate::store::error::OpenError;
use crate::store::report::StoreState;

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The room without which sled can neither make nor open a database.
const LEAST_ROOM: u64 = 1 << 20;

/// A store's directory, locked by this process.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
    lock: File,
    version: u32,
    store: StoreId,
}

impl Layout {
    /// Locks the directory; creates an empty store with `make_database` where there is none and `create` allows it.
    pub(super) fn open(
        root: &Path,
        create: bool,
        make_database: impl FnOnce(&Path, &StoreId) -> Result<(), OpenError>,
    ) -> Result<Self, OpenError> {
        let root = &std::path::absolute(root).map_err(OpenError::io(root, "finding the directory"))?;
        // Before the lock is made: a foreign directory stays untouched.
        if is_absent(root)? {
            if !create {
                return Err(OpenError::Missing(root.clone()));
            }
            make_directories(root).map_err(OpenError::io(root, "making the directory"))?;
        }
        // Before anything is made in it: a directory that is not ours to close to others stays as it is.
        set_mode(root, DIRECTORY_MODE).map_err(OpenError::io(root, "setting permissions"))?;
        let store = *uuid::Uuid::new_v4().as_bytes();
        let mut layout = Self { root: root.clone(), lock: take_lock(root)?, version: VERSION, store };
        match is_store(root)? {
            true => layout.finish_creation().map_err(OpenError::io(root, "finishing the creation"))?,
            false if !create => return Err(OpenError::Missing(root.clone())),
            false => layout.create(make_database)?,
        }
        (layout.version, layout.store) = read_format(root)?;
        check_parts(root, layout.version)?;
        layout.remove_unused_databases().map_err(OpenError::io(root, "removing an unused database"))?;
        layout.close_to_others().map_err(OpenError::io(root, "setting permissions"))?;
        Ok(layout)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn store(&self) -> &StoreId {
        &self.store
    }

    pub(super) fn change_log(&self) -> PathBuf {
        self.path(CHANGE_LOG)
    }

    pub(super) fn sled(&self) -> PathBuf {
        self.path(database(self.version))
    }

    /// Whether an earlier version made the store, so that [`Layout::upgrade`] is due.
    pub(super) fn is_outdated(&self) -> bool {
        self.version != VERSION
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Checks that the directory is still the one that was locked, with the same store in it.
    pub(super) fn check_still_there(&self) -> Result<(), OpenError> {
        let doing = |doing: &'static str| OpenError::io(&self.root, doing);
        let replaced = |what| {
            let error = io::Error::other(format!("{what} was replaced while this process had it open"));
            doing("finding the directory")(error)
        };
        if !is_same_file(&self.lock, &self.path(LOCK)).map_err(doing("finding the lock"))? {
            return Err(replaced("its lock file"));
        }
        if read_format(&self.root)? != (self.version, self.store) {
            return Err(replaced("the store in it"));
        }
        check_parts(&self.root, self.version)
    }

    /// Checks that a write of this size reaches the disk now.
    pub(super) fn probe_space(&self, bytes: usize) -> io::Result<()> {
        let path = self.path(SPACE_PROBE);
        let written = File::create(&path)
            .and_then(|mut file| file.write_all(&vec![0x5a; bytes]).and_then(|()| file.sync_all()));
        written.and(missing_is_ok(fs::remove_file(&path)))
    }

    fn create(
        &self,
        make_database: impl FnOnce(&Path, &StoreId) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let failed = |doing: &str| OpenError::io(&self.root, format!("making an empty store: {doing}"));
        let marker = File::create(self.path(CREATING)).map_err(failed(CREATING))?;
        marker.sync_all().and_then(|()| sync_directory(&self.root)).map_err(failed(CREATING))?;
        missing_is_ok(fs::remove_dir_all(self.sled())).map_err(failed(SLED))?;
        self.make_database(SLED, make_database)?;
        HighWaterMark::create(&self.root, &self.store).map_err(failed(HIGH_WATER_MARK))?;
        self.write_format().map_err(failed(FORMAT))?;
        self.finish_creation().map_err(failed(CREATING))?;
        log::info!("made an empty store at {}", self.root.display());
        Ok(())
    }

    /// Makes the directory of the database and what `make` puts into it, all of it durable: sled syncs neither its
    /// `conf` nor its directories.
    fn make_database(
        &self,
        name: &str,
        make: impl FnOnce(&Path, &StoreId) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let (sled, failed) = (self.path(name), || OpenError::io(&self.root, "making the database"));
        fs::create_dir(&sled).map_err(failed())?;
        make(&sled, &self.store)?;
        walk(&sled, &mut |path, _| File::open(path)?.sync_all()).map_err(failed())
    }

    /// Replaces the database of an earlier version by one that `make` makes.
    pub(super) fn upgrade(
        &mut self,
        make: impl FnOnce(&Path, &StoreId) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        self.make_database(SLED, make)?;
        let failed = || OpenError::io(&self.root, "upgrading the store");
        self.write_format().map_err(failed())?;
        self.version = VERSION;
        self.remove_unused_databases().map_err(failed())?;
        log::info!("the store at {} has format version {VERSION} now", self.root.display());
        Ok(())
    }

    /// Replaces the database, which nothing may have open, by one that `make` makes; removes the old one, and the log of
    /// changes, which names companies of it.
    pub(super) fn replace_database(
        &self,
        make: impl FnOnce(&Path, &StoreId) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let failed = || OpenError::io(&self.root, "replacing the database");
        let (sled, next) = (self.path(SLED), self.path(NEXT_SLED));
        let replaced = self.make_database(NEXT_SLED, make).and_then(|()| {
            renameat_with(CWD, &next, CWD, &sled, RenameFlags::EXCHANGE).map_err(|error| match error {
                Errno::INVAL | Errno::NOSYS | Errno::XDEV | Errno::OPNOTSUPP => failed()(io::Error::other(
                    "its file system cannot exchange two directories; move the store to one that can (ext4, XFS, Btrfs)",
                )),
                error => failed()(error.into()),
            })
        });
        let removed = self.remove_unused_databases().map_err(failed());
        replaced.and(removed)?;
        missing_is_ok(fs::remove_file(self.change_log())).map_err(failed())
    }

    /// Removes what an upgrade or an erasure left: an unfinished new database, or the old one.
    fn remove_unused_databases(&self) -> io::Result<()> {
        let next = self.path(NEXT_SLED);
        if next.exists() {
            // The exchange first: undone by a power cut, it would bring back a half-removed database.
            sync_directory(&self.root)?;
            fs::remove_dir_all(next)?;
        }
        let other = if self.is_outdated() { VERSION } else { VERSION_1 };
        missing_is_ok(fs::remove_dir_all(self.path(database(other))))
    }

    fn write_format(&self) -> io::Result<()> {
        let unfinished = self.path(NEW_FORMAT);
        let mut file = File::create(&unfinished)?;
        file.write_all(format_text(VERSION, &self.store).as_bytes())?;
        file.sync_all()?;
        sync_directory(&self.root)?;
        fs::rename(&unfinished, self.path(FORMAT))?;
        sync_directory(&self.root)
    }

    /// From here on the directory is a complete store, never again a half-made one.
    fn finish_creation(&self) -> io::Result<()> {
        match fs::remove_file(self.path(CREATING)) {
            // Nothing is synced then: a disk that hangs is found where the start has a time limit.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| sync_directory(&self.root)),
        }
    }

    /// Sets the mode of everything in the directory, which has its own already.
    fn close_to_others(&self) -> io::Result<()> {
        for name in [FORMAT, LOCK, HIGH_WATER_MARK] {
            set_mode(&self.path(name), FILE_MODE)?;
        }
        walk(&self.sled(), &mut |path, is_directory| {
            set_mode(path, if is_directory { DIRECTORY_MODE } else { FILE_MODE })
        })
    }
}

/// The state of the directory, or the first error that opening it would meet, found without opening it: nothing is made,
/// written or kept locked. The database itself is not read, since sled writes when it opens.
pub(in crate::store) fn inspect(root: &Path) -> Result<StoreState, OpenError> {
    let root = &std::path::absolute(root).map_err(OpenError::io(root, "finding the directory"))?;
    let existing = nearest(root).map_err(OpenError::io(root, "finding the directory"))?;
    if existing != root {
        allowed(existing, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(OpenError::io(root, "making the directory"))?;
        return check_room(existing).map(|()| StoreState::Absent);
    }
    let is_store = is_store(root)?;
    check_usable(root, DIRECTORY_MODE).map_err(OpenError::io(root, "setting permissions"))?;
    let holder = holder(root)?;
    if is_store {
        let (version, store) = read_format(root)?;
        check_parts(root, version)?;
        for part in parts(version).into_iter().chain([FORMAT.into(), LOCK.into()]) {
            let wanted = if part == Path::new(database(version)) { DIRECTORY_MODE } else { FILE_MODE };
            let doing = format!("using {}", part.display());
            check_usable(&root.join(part), wanted).map_err(OpenError::io(root, doing))?;
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

fn missing_is_ok(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

fn set_mode(path: &Path, wanted: u32) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode == wanted { Ok(()) } else { fs::set_permissions(path, Permissions::from_mode(wanted)) }
}

/// Creates the directory and its missing parents, each 0700, each durable in the one above.
fn make_directories(path: &Path) -> io::Result<()> {
    let missing = path.ancestors().take_while(|path| !path.exists()).count();
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)?;
    path.ancestors().take(missing.max(1) + 1).try_for_each(sync_directory)
}

fn take_lock(root: &Path) -> Result<File, OpenError> {
    let failed = || OpenError::io(root, "taking the lock");
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options.open(root.join(LOCK)).map_err(failed())?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(OpenError::InUse { path: root.to_owned(), holder: process_in(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(failed()(error)),
    }
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed())?;
    Ok(file)
}

#[cfg(test)]
mod tests;
