//! The files of a store's directory, as they are found there.
//!
//! ```text
//! format      which kind of store this is, its version and its random name; written last at creation
//! lock        held while a process has the store open; contains its process id
//! witness     the high-water mark: the last acknowledged checkpoint
//! sled-v2/    the database; sled-v1/ in a store of format version 1
//! sled-v2.next/  only while companies are erased: the new database, then the old one
//! changes     which companies changed lately, as of the last closing in order; may be removed
//! creating    only while an empty store is being created
//! ```
//!
//! Nothing here changes a file, [`sync_directory`] excepted.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::batch_record::StoreId;
use super::damage;
use crate::files::reject_dangling_link;
use crate::store::error::OpenError;

pub(super) const VERSION: u32 = 2;
pub(super) const VERSION_1: u32 = 1;
const TITLE: &str = "virksomhedslogin store";
pub(super) const FORMAT: &str = "format";
pub(super) const NEW_FORMAT: &str = "format.new";
pub(super) const LOCK: &str = "lock";
pub(super) const HIGH_WATER_MARK: &str = "witness";
pub(super) const CHANGE_LOG: &str = "changes";
/// The same until it is complete.
const NEW_CHANGE_LOG: &str = "changes.new";
pub(super) const SLED: &str = "sled-v2";
const SLED_1: &str = "sled-v1";
/// Beside the database while another takes its place.
pub(super) const NEXT_SLED: &str = "sled-v2.next";
pub(super) const CREATING: &str = "creating";
/// Where a repair tries whether there is room again.
pub(super) const SPACE_PROBE: &str = "space-probe";
/// Every file system of the ext family has this at its root.
pub(super) const LOST_AND_FOUND: &str = "lost+found";

/// The directory of the database in a store of this format version.
pub(super) fn database(version: u32) -> &'static str {
    if version == VERSION_1 { SLED_1 } else { SLED }
}

/// Whether there is no complete store at this absolute path; an error when something else is there.
pub(in crate::store) fn is_absent(root: &Path) -> Result<bool, OpenError> {
    let existing = nearest(root).map_err(OpenError::io(root, "finding the directory"))?;
    Ok(existing != root || !is_store(root)?)
}

/// The path itself, or the nearest of its parents that exists.
pub(super) fn nearest(path: &Path) -> io::Result<&Path> {
    reject_dangling_link(path)?;
    for existing in path.ancestors() {
        match fs::metadata(existing) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => return found.map(|_| existing),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Whether a complete store is in the directory. A `creating` without a `format` holds nothing and is made again; parts of
/// ours without either are damage; anything else is not ours.
pub(super) fn is_store(root: &Path) -> Result<bool, OpenError> {
    let failed = || OpenError::io(root, "reading the directory");
    if !fs::metadata(root).map_err(failed())?.is_dir() {
        return Err(OpenError::Foreign { path: root.to_owned(), found: "a file".to_owned() });
    }
    let (mut ours, mut foreign) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(root).map_err(failed())? {
        let name = entry.map_err(failed())?.file_name().to_string_lossy().into_owned();
        match name.as_str() {
            FORMAT => return Ok(true),
            CREATING | LOCK | LOST_AND_FOUND => {}
            HIGH_WATER_MARK | CHANGE_LOG | NEW_CHANGE_LOG | SLED | SLED_1 | NEXT_SLED | SPACE_PROBE
            | NEW_FORMAT => ours.push(name),
            _ => foreign.push(name),
        }
    }
    foreign.sort();
    // No other program has a directory of the database's name.
    let is_ours = !ours.is_empty() && foreign.is_empty() || ours.iter().any(|name| name == SLED);
    if is_ours && !root.join(CREATING).exists() {
        return Err(OpenError::damaged(root, "no format file", "one beside the other files of the store"));
    }
    if !foreign.is_empty() {
        foreign.truncate(5);
        return Err(OpenError::Foreign { path: root.to_owned(), found: foreign.join(", ") });
    }
    Ok(false)
}

/// The parts of a complete store of this version beside `format` and `lock`, the directory first.
pub(super) fn parts(version: u32) -> [PathBuf; 4] {
    let sled = PathBuf::from(database(version));
    [sled.clone(), sled.join("conf"), sled.join("db"), PathBuf::from(HIGH_WATER_MARK)]
}

/// Checks that every part of a complete store exists; sled would make an empty one in place of a missing one.
pub(super) fn check_parts(root: &Path, version: u32) -> Result<(), OpenError> {
    for part in parts(version) {
        let name = part.display();
        let damaged = |found| OpenError::damaged(root, found, "every file of the store");
        let found = fs::metadata(root.join(&part)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => damaged(format!("no {name}")),
            _ => damage::io_error(root, &format!("finding {name}"), error),
        })?;
        if found.is_dir() != (part == Path::new(database(version))) {
            return Err(damaged(format!("{name} of another kind")));
        }
    }
    Ok(())
}

/// The process id in a lock file; empty when there is none.
pub(super) fn process_in(lock: &mut File) -> String {
    let mut holder = String::new();
    let _ = Read::by_ref(lock).take(20).read_to_string(&mut holder);
    holder.trim().chars().filter(char::is_ascii_digit).collect()
}

fn checksum_line(body: &str) -> String {
    format!("sha256 {}\n", HEXLOWER.encode(&Sha256::digest(body)))
}

pub(super) fn format_text(version: u32, store: &StoreId) -> String {
    let body = format!("{TITLE}\nversion {version}\nid {}\n", HEXLOWER.encode(store));
    format!("{body}{}", checksum_line(&body))
}

pub(super) fn read_format(root: &Path) -> Result<(u32, StoreId), OpenError> {
    let mut bytes = Vec::new();
    File::open(root.join(FORMAT))
        .and_then(|file| file.take(4096).read_to_end(&mut bytes))
        .map_err(|error| damage::io_error(root, "reading the format file", error))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let damaged = || OpenError::damaged(root, "an unreadable format file", "one whose checksum matches");
    if lines.next() != Some(TITLE) {
        // Other programs have files of this name, but not beside the rest of a store.
        if [HIGH_WATER_MARK, SLED].iter().any(|part| root.join(part).exists()) {
            return Err(damaged());
        }
        let found = format!("a format file that does not begin with \"{TITLE}\"");
        return Err(OpenError::Foreign { path: root.to_owned(), found });
    }
    let (body, check) = text.split_at(text.rfind("sha256 ").ok_or_else(damaged)?);
    if check != checksum_line(body) {
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
    let id = HEXLOWER.decode(after("id ")?.as_bytes()).map_err(|_| damaged())?;
    Ok((version, id.try_into().map_err(|_| damaged())?))
}

/// Visits the directory and all directories (`true`) and files (`false`) below it, each directory before its content.
pub(super) fn walk(
    directory: &Path,
    visit: &mut impl FnMut(&Path, bool) -> io::Result<()>,
) -> io::Result<()> {
    visit(directory, true)?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), visit)?;
        } else if kind.is_file() {
            visit(&entry.path(), false)?;
        }
    }
    Ok(())
}

pub(super) fn is_same_file(held: &File, path: &Path) -> io::Result<bool> {
    let (held, found) = (held.metadata()?, fs::metadata(path)?);
    Ok((held.dev(), held.ino()) == (found.dev(), found.ino()))
}

/// Makes the names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(path) {
        // A directory that we may enter but not read (a parent of another owner) is its owner's to sync.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        opened => opened?.sync_all(),
    }
}
