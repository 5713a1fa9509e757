//! Which server programs are on this machine, and under whom they run.

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Once, OnceLock};

use rustix::process::geteuid;

use crate::support::cluster::PASSWORD;

/// Whether there is a server program; else says once which tests are left out.
pub(crate) fn available() -> bool {
    found("PostgreSQL", programs().is_some(), "postgresql")
}

/// Whether a program of these tests is there; one that is absent is reported once, or is a fault where it is required.
pub(crate) fn found(name: &str, is_there: bool, package: &str) -> bool {
    static SAID: Once = Once::new();
    if !is_there {
        let required = std::env::var("VIRKSOMHEDSLOGIN_POSTGRES").is_ok_and(|value| value == "required");
        assert!(!required, "{name} is required and not installed; install it (Debian: {package})");
        SAID.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "left out: the tests on {name}, because its server is not installed; install {name} \
                 (Debian: {package}) and run `cargo test` again"
            );
        });
    }
    is_there
}

/// The directory of `initdb`, `postgres` and the others.
pub(crate) fn programs() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let named = std::env::var_os("VIRKSOMHEDSLOGIN_POSTGRES_BIN").map(PathBuf::from);
            if let Some(directory) = &named {
                let is_one = directory.join("initdb").exists();
                assert!(is_one, "VIRKSOMHEDSLOGIN_POSTGRES_BIN: {} holds no initdb", directory.display());
            }
            named.or_else(|| on_path("initdb")?.parent().map(Path::to_owned)).or_else(newest_of_debian)
        })
        .as_deref()
}

/// A program on `PATH`, with its links followed: the directory that a link points into holds the other programs.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find_map(|directory| directory.join(program).canonicalize().ok())
}

/// Debian keeps the server's programs off `PATH`, below one directory for each version.
fn newest_of_debian() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(|entry| {
        let entry = entry.ok()?;
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        let programs = entry.path().join("bin");
        programs.join("initdb").exists().then_some((version, programs))
    });
    versions.max().map(|(_, programs)| programs)
}

/// User and group under which servers run: they refuse to run as root.
fn identity() -> Option<(u32, u32)> {
    let of = |name: &str| {
        let users = fs::read_to_string("/etc/passwd").ok()?;
        let fields: Vec<&str> =
            users.lines().map(|line| line.split(':').collect()).find(|user: &Vec<_>| user[0] == name)?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    };
    geteuid().is_root().then(|| of("postgres").or_else(|| of("nobody")).expect("a user `nobody`"))
}

/// A command that runs in this directory, as a user without rights.
pub(crate) fn unprivileged(program: impl AsRef<std::ffi::OsStr>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = identity() {
        command.uid(user).gid(group);
    }
    command.current_dir(directory).env("LC_ALL", "C").env("PGPASSWORD", PASSWORD).stdin(Stdio::null());
    command
}

/// Gives a file or directory to the user under which servers run, and to no other.
pub(crate) fn give(path: &Path, mode: u32) {
    if let Some((user, group)) = identity() {
        chown(path, Some(user), Some(group)).unwrap();
    }
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
