//! The directory of a store: which files lie in it, who may read them, and how it comes into being.
//!
//! ```text
//! format      which kind of store this is, its version and its random name; written last at creation
//! lock        held while a process has the store open; contains its process id
//! witness     the last acknowledged mark
//! sled-v2/    the database; sled-v1/ in a store of format version 1
//! creating    only while an empty store is being made
//! ```
//!
//! Creation: `creating` is made durable before anything else, then the parts are made and synced, then `format`, then
//! `creating` goes. Nothing is acknowledged before that, so a directory with `creating` and no `format` holds nothing and
//! is made anew; one that has parts of ours and neither is damaged, and one with anything else is not ours.
//!
//! Upgrade: a store of version 1 gets a new database beside the old one, then a new `format`, by rename; that is the
//! moment from which the new one counts. What is left of the other is removed at the next start.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::batch_record::StoreId;
use super::damage;
use super::high_water_mark::HighWaterMark;
use crate::files::reject_dangling_link;
use crate::store::OpenError;

mod inspect;

pub(in crate::store) use inspect::inspect;

const VERSION: u32 = 2;
/// The version whose WAL has rows that are too large for sled's log.
const VERSION_1: u32 = 1;
const TITLE: &str = "virksomhedslogin store";
const FORMAT: &str = "format";
const LOCK: &str = "lock";
const WITNESS: &str = "witness";
const SLED: &str = "sled-v2";
const SLED_1: &str = "sled-v1";
const CREATING: &str = "creating";
/// Where a repair tries whether there is room again.
const SPACE_PROBE: &str = "space-probe";
/// Every file system of the ext family has this at its root.
const LOST_AND_FOUND: &str = "lost+found";

/// A store's directory, locked by this process.
#[derive(Debug)]
pub(super) struct Layout {
    root: PathBuf,
    lock: File,
    version: u32,
}

/// What stands in the directory.
enum Found {
    Nothing,
    HalfMade,
    Store,
}

impl Layout {
    /// Locks the directory; makes an empty store with `make_database` where there is none and `create` allows it.
    pub(super) fn open(
        root: &Path,
        create: bool,
        make_database: impl FnOnce(&Path, &StoreId) -> Result<(), OpenError>,
    ) -> Result<(Self, StoreId), OpenError> {
        // Files that sled makes get no other mode than the process's mask allows.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        let root = &std::path::absolute(root).map_err(OpenError::io(root, "finding the directory"))?;
        // Before the lock is made: a foreign directory stays untouched.
        if is_absent(root)? {
            if !create {
                return Err(OpenError::Missing(root.clone()));
            }
            make_directories(root).map_err(OpenError::io(root, "making the directory"))?;
        }
        // Before anything is made in it: a directory that is not ours to close to others stays as it is.
        close_to_others(root, Permissions::from_mode(0o700))
            .map_err(OpenError::io(root, "setting permissions"))?;
        let mut layout = Self { root: root.clone(), lock: take_lock(root)?, version: VERSION };
        match look(root)? {
            Found::Store => {
                layout.finish_creation().map_err(OpenError::io(root, "finishing the creation"))?
            }
            Found::HalfMade | Found::Nothing if !create => return Err(OpenError::Missing(root.clone())),
            Found::HalfMade | Found::Nothing => layout.create(make_database)?,
        }
        let (version, store) = read_format(root, &layout.path(FORMAT))?;
        layout.version = version;
        check_parts(root, version)?;
        layout.remove_other_database().map_err(OpenError::io(root, "removing an unused database"))?;
        layout.close_to_others().map_err(OpenError::io(root, "setting permissions"))?;
        Ok((layout, store))
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn witness(&self) -> PathBuf {
        self.path(WITNESS)
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

    /// Whether the directory is still the one that was locked, with the same store in it.
    pub(super) fn check_still_there(&self, store: &StoreId) -> Result<(), OpenError> {
        use std::os::unix::fs::MetadataExt;
        let replaced = |what| {
            let error = io::Error::other(format!("{what} was replaced while this process had it open"));
            OpenError::io(&self.root, "looking for the directory")(error)
        };
        let held = self.lock.metadata().map_err(OpenError::io(&self.root, "looking at the lock"))?;
        let there =
            fs::metadata(self.path(LOCK)).map_err(OpenError::io(&self.root, "looking for the lock"))?;
        if (held.dev(), held.ino()) != (there.dev(), there.ino()) {
            return Err(replaced("its lock file"));
        }
        if read_format(&self.root, &self.path(FORMAT))? != (self.version, *store) {
            return Err(replaced("the store in it"));
        }
        check_parts(&self.root, self.version)
    }

    /// Whether a write of this size goes through to the disk now.
    pub(super) fn probe_space(&self, bytes: usize) -> io::Result<()> {
        let path = self.path(SPACE_PROBE);
        let written = new_private_file(&path).and_then(|mut file| {
            file.write_all(&vec![0x5a; bytes])?;
            file.sync_all()
        });
        let removed = match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        written.and(removed)
    }

    fn create(
        &self,
        make_database: impl FnOnce(&Path, &StoreId) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let failed = |doing: &str| OpenError::io(&self.root, format!("making an empty store: {doing}"));
        let marker = new_private_file(&self.path(CREATING)).map_err(failed(CREATING))?;
        marker.sync_all().and_then(|()| sync_directory(&self.root)).map_err(failed(CREATING))?;
        remove_directory(&self.sled()).map_err(failed(SLED))?;
        let store = *uuid::Uuid::new_v4().as_bytes();
        self.make_database(|sled| make_database(sled, &store))?;
        HighWaterMark::create(&self.witness(), &store).map_err(failed(WITNESS))?;
        self.write_format(&store).map_err(failed(FORMAT))?;
        self.finish_creation().map_err(failed(CREATING))?;
        log::info!("made an empty store at {}", self.root.display());
        Ok(())
    }

    /// Makes the directory of the database and what `make` puts into it, all of it durable.
    fn make_database(&self, make: impl FnOnce(&Path) -> Result<(), OpenError>) -> Result<(), OpenError> {
        let (sled, failed) = (self.path(SLED), || OpenError::io(&self.root, "making the database"));
        DirBuilder::new().mode(0o700).create(&sled).map_err(failed())?;
        make(&sled)?;
        sync_tree(&sled).map_err(failed())
    }

    /// Puts a database that `make` makes in the place of the one of an earlier version.
    pub(super) fn upgrade(
        &mut self,
        store: &StoreId,
        make: impl FnOnce(&Path) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        self.make_database(make)?;
        let failed = || OpenError::io(&self.root, "upgrading the store");
        self.write_format(store).map_err(failed())?;
        self.version = VERSION;
        self.remove_other_database().map_err(failed())?;
        log::info!("the store at {} has format version {VERSION} now", self.root.display());
        Ok(())
    }

    /// Removes what an upgrade left: a new database that was not finished, or the old one.
    fn remove_other_database(&self) -> io::Result<()> {
        let other = if self.is_outdated() { VERSION } else { VERSION_1 };
        remove_directory(&self.path(database(other)))
    }

    fn write_format(&self, store: &StoreId) -> io::Result<()> {
        let unfinished = self.path("format.new");
        let mut file = new_private_file(&unfinished)?;
        file.write_all(format_text(VERSION, store).as_bytes())?;
        file.sync_all()?;
        sync_directory(&self.root)?;
        fs::rename(&unfinished, self.path(FORMAT))?;
        sync_directory(&self.root)
    }

    /// From here on the directory is taken for a full store, never again for a half-made one.
    fn finish_creation(&self) -> io::Result<()> {
        match fs::remove_file(self.path(CREATING)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| sync_directory(&self.root)),
        }
    }

    /// Directories 0700 and files 0600, whatever they were. The directory itself is so already.
    fn close_to_others(&self) -> io::Result<()> {
        for name in [FORMAT, LOCK, WITNESS] {
            close_to_others(&self.path(name), Permissions::from_mode(0o600))?;
        }
        close_tree(&self.sled())
    }
}

/// The directory of the database in a store of this format version.
fn database(version: u32) -> &'static str {
    if version == VERSION_1 { SLED_1 } else { SLED }
}

fn remove_directory(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn new_private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// Whether there is no whole store at this absolute path. Changes nothing.
///
/// # Errors
/// When something else is there, or cannot be looked at.
pub(in crate::store) fn is_absent(root: &Path) -> Result<bool, OpenError> {
    let there = nearest(root).map_err(OpenError::io(root, "finding the directory"))?;
    Ok(there != root || !matches!(look(root)?, Found::Store))
}

/// The path itself, or the nearest of its parents that is there.
fn nearest(path: &Path) -> io::Result<&Path> {
    reject_dangling_link(path)?;
    for there in path.ancestors() {
        match fs::metadata(there) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found.map(|_| there),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn close_to_others(path: &Path, wanted: Permissions) -> io::Result<()> {
    let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
    if mode == wanted.mode() { Ok(()) } else { fs::set_permissions(path, wanted) }
}

fn close_tree(directory: &Path) -> io::Result<()> {
    close_to_others(directory, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            close_tree(&entry.path())?;
        } else if entry.file_type()?.is_file() {
            close_to_others(&entry.path(), Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

/// Makes the directory and whatever of its parents is missing, each 0700, each durable in the one above.
fn make_directories(path: &Path) -> io::Result<()> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    if !parent.try_exists()? {
        make_directories(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_directory(path)?;
    sync_directory(parent)
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(path) {
        // One that we may enter but not list (a parent of another owner) is its owner's to sync.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        opened => opened?.sync_all(),
    }
}

/// Makes a directory with everything in it durable: sled syncs neither its `conf` nor its directories.
fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(directory)?.sync_all()
}

/// Everything that a full store has is there; else sled would make an empty one in its place.
fn check_parts(root: &Path, version: u32) -> Result<(), OpenError> {
    let sled = Path::new(database(version));
    for part in [sled, &sled.join("conf"), &sled.join("db"), Path::new(WITNESS)] {
        let name = part.display();
        let found = fs::metadata(root.join(part)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                OpenError::damaged(root, format!("no {name}"), "every file of the store")
            }
            _ => damage::io_error(root, &format!("looking for {name}"), error),
        })?;
        if found.is_dir() != (part == sled) {
            return Err(OpenError::damaged(
                root,
                format!("{name} of another kind"),
                "every file of the store",
            ));
        }
    }
    Ok(())
}

fn look(root: &Path) -> Result<Found, OpenError> {
    let failed = || OpenError::io(root, "reading the directory");
    if !fs::metadata(root).map_err(failed())?.is_dir() {
        return Err(OpenError::Foreign { path: root.to_owned(), found: "a file".to_owned() });
    }
    let (mut ours, mut foreign, mut format, mut creating) = (Vec::new(), Vec::new(), false, false);
    for entry in fs::read_dir(root).map_err(failed())? {
        let name = entry.map_err(failed())?.file_name().to_string_lossy().into_owned();
        match name.as_str() {
            FORMAT => format = true,
            CREATING => creating = true,
            LOCK | LOST_AND_FOUND => {}
            WITNESS | SLED | SLED_1 | SPACE_PROBE | "format.new" => ours.push(name),
            _ => foreign.push(name),
        }
    }
    foreign.sort();
    match (format, creating) {
        (true, _) => Ok(Found::Store),
        // No other program has a directory of the database's name.
        (false, false)
            if (!ours.is_empty() && foreign.is_empty()) || ours.iter().any(|name| name == SLED) =>
        {
            Err(OpenError::damaged(root, "no format file", "one beside the other files of the store"))
        }
        (false, _) if !foreign.is_empty() => {
            foreign.truncate(5);
            Err(OpenError::Foreign { path: root.to_owned(), found: foreign.join(", ") })
        }
        (false, true) => Ok(Found::HalfMade),
        (false, false) => Ok(Found::Nothing),
    }
}

fn take_lock(root: &Path) -> Result<File, OpenError> {
    let failed = || OpenError::io(root, "taking the lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(root.join(LOCK))
        .map_err(failed())?;
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

/// The process id in a lock file; empty when there is none to read.
fn process_in(lock: &mut File) -> String {
    let mut holder = String::new();
    let _ = Read::by_ref(lock).take(20).read_to_string(&mut holder);
    holder.trim().chars().filter(char::is_ascii_digit).collect()
}

pub(super) fn format_text(version: u32, store: &StoreId) -> String {
    let body = format!("{TITLE}\nversion {version}\nid {}\n", data_encoding::HEXLOWER.encode(store));
    format!("{body}sha256 {}\n", data_encoding::HEXLOWER.encode(&Sha256::digest(&body)))
}

/// The store's format version and its random name.
fn read_format(root: &Path, path: &Path) -> Result<(u32, StoreId), OpenError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(4096).read_to_end(&mut bytes))
        .map_err(|error| damage::io_error(root, "reading the format file", error))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let damaged = || OpenError::damaged(root, "an unreadable format file", "one whose checksum fits");
    if lines.next() != Some(TITLE) {
        // Other programs have files of this name, but not beside the rest of a store.
        if [WITNESS, SLED].iter().any(|part| root.join(part).exists()) {
            return Err(damaged());
        }
        return Err(OpenError::Foreign {
            path: root.to_owned(),
            found: format!("a format file that does not begin with \"{TITLE}\""),
        });
    }
    let (body, check) = text.split_at(text.rfind("sha256 ").ok_or_else(damaged)?);
    if check != format!("sha256 {}\n", data_encoding::HEXLOWER.encode(&Sha256::digest(body))) {
        return Err(damaged());
    }
    let mut after = |word: &str| lines.next().and_then(|line| line.strip_prefix(word)).ok_or_else(damaged);
    let found = after("version ")?;
    let known = [VERSION_1, VERSION].into_iter().find(|version| found == version.to_string());
    let version = known.ok_or_else(|| OpenError::UnknownFormat {
        path: root.to_owned(),
        found: found.to_owned(),
        expected: VERSION,
    })?;
    let id = data_encoding::HEXLOWER.decode(after("id ")?.as_bytes()).map_err(|_| damaged())?;
    Ok((version, id.try_into().map_err(|_| damaged())?))
}

#[cfg(test)]
mod tests;
