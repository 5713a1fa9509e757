//! What is damage, and what is only a machine that fails now.
//!
//! The advice for damage is to restore an export, which loses every later login. So damage is a closed list: a part
//! of the store that is missing, cut off or unreadable to us although the machine reads it well. Every other error is the
//! machine's, and the store may be whole. sled keeps of an error only the text, or panics on it: the errno is taken from
//! the text where it must be.

use std::io;
use std::path::Path;

use super::isolate::TaskFailure;
use crate::store::error::OpenError;

/// An error of an operation on a part of the store.
pub(super) fn io_error(root: &Path, doing: &str, error: io::Error) -> OpenError {
    use io::ErrorKind::{InvalidData, IsADirectory, NotADirectory, NotFound, UnexpectedEof};
    match error.kind() {
        NotFound | IsADirectory | NotADirectory | InvalidData | UnexpectedEof => {
            OpenError::damaged(root, format!("{error} while {doing}"), "every part of the store")
        }
        _ => OpenError::io(root, doing)(error),
    }
}

/// An error that sled returned.
pub(super) fn sled_error(root: &Path, doing: &str, error: sled::Error) -> OpenError {
    match error {
        sled::Error::Io(error) => {
            let text = error.to_string();
            let error = if error.raw_os_error().is_some() { error } else { errno_in(&text).unwrap_or(error) };
            // sled's own text for a file that another process has locked.
            if text.contains("could not acquire lock") && error.kind() == io::ErrorKind::WouldBlock {
                return OpenError::InUse { path: root.to_owned(), holder: String::new() };
            }
            io_error(root, doing, error)
        }
        error => OpenError::damaged(root, format!("what sled calls {error}"), "a database that can be read"),
    }
}

/// What it means that sled did not return.
pub(super) fn not_returned(root: &Path, failure: TaskFailure) -> OpenError {
    let doing = "opening the database";
    match failure {
        // sled asks for the time of day whenever it is configured.
        TaskFailure::Panicked(text) if text.contains("SystemTimeError") => OpenError::Clock(root.to_owned()),
        TaskFailure::Panicked(text) => match errno_in(&text) {
            Some(error) => io_error(root, doing, error),
            None => {
                let found = format!("a database that sled panics on ({text})");
                OpenError::damaged(root, found, "a database that can be opened")
            }
        },
        TaskFailure::Stuck(limit) => {
            let seconds = limit.as_secs();
            OpenError::io(root, doing)(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no progress for {seconds} s; leave the store as it is, check the disk, start again"),
            ))
        }
        TaskFailure::NoThread(error) => OpenError::io(root, "starting a thread")(error),
    }
}

/// The system's error in a text: `Os { code: 5, … }` in copies and panics, `… (os error 5)` where it was displayed.
fn errno_in(text: &str) -> Option<io::Error> {
    ["Os { code: ", "(os error "].into_iter().find_map(|before| {
        let (_, rest) = text.split_once(before)?;
        let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
        digits.parse().ok().map(io::Error::from_raw_os_error)
    })
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    const ROOT: &str = "/store";

    fn sled_code(error: sled::Error) -> u8 {
        sled_error(Path::new(ROOT), "opening", error).exit_code()
    }

    fn panicked(text: &str) -> OpenError {
        not_returned(Path::new(ROOT), TaskFailure::Panicked(text.to_owned()))
    }

    #[test]
    fn error_with_an_errno_is_the_machines_however_sled_passes_it_on() {
        for errno in [
            Errno::IO,
            Errno::MFILE,
            Errno::NFILE,
            Errno::STALE,
            Errno::NODEV,
            Errno::NXIO,
            Errno::ROFS,
            Errno::ACCESS,
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::NOMEM,
            Errno::AGAIN,
            Errno::NOLCK,
            Errno::TIMEDOUT,
            Errno::UCLEAN,
            Errno::HOSTDOWN,
            Errno::SHUTDOWN,
        ] {
            let error = || io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(sled_code(sled::Error::Io(error())), 1, "{errno}");
            assert_eq!(sled_code(sled::Error::Io(error()).clone()), 1, "{errno}, copied");
            for text in [format!("{:?}", sled::Error::Io(error())), format!("open file: {}", error())] {
                let found = panicked(&text);
                assert_eq!(found.exit_code(), 1, "{text}");
                assert!(found.to_string().contains(&error().to_string()), "{found}");
            }
        }
    }

    #[test]
    fn lost_part_and_what_sled_itself_finds_are_damage() {
        use io::ErrorKind::{InvalidData, UnexpectedEof};
        for kind in [UnexpectedEof, InvalidData] {
            assert_eq!(sled_code(sled::Error::Io(kind.into())), 3, "{kind}");
            assert_eq!(sled_code(sled::Error::Io(kind.into()).clone()), 3, "{kind}, copied");
        }
        let missing = || sled::Error::Io(Errno::NOENT.into());
        assert_eq!((sled_code(missing()), sled_code(missing().clone())), (3, 3));
        assert_eq!(sled_code(sled::Error::Corruption { at: None, bt: () }), 3);
        assert_eq!(sled_code(sled::Error::ReportableBug(String::new())), 3);
        assert_eq!(panicked("tried to serialize Uninitialized").exit_code(), 3);
    }

    #[test]
    fn only_a_lock_that_is_held_is_a_store_in_use() {
        let locked = |errno: Errno| {
            let inner = io::Error::from_raw_os_error(errno.raw_os_error());
            let text = format!("could not acquire lock on \"/store/db\": {inner:?}");
            sled_error(Path::new(ROOT), "opening", sled::Error::Io(io::Error::other(text)))
        };
        assert!(matches!(locked(Errno::AGAIN), OpenError::InUse { .. }));
        let refused = locked(Errno::NOLCK);
        assert!(refused.to_string().contains("No locks available"), "{refused}");
    }
}
