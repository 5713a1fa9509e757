//! `check` and the machine: what permissions and disks would not let the service do.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::suites::cli::check::{command, ended, fixture_with_store, picture};
use crate::suites::cli::program::stderr;
use crate::support::process::{Fixture, Service};

/// The user `nobody`, and another.
const NOBODY: u32 = 65_534;
const OTHER: u32 = 65_533;

fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A command as a user whom permissions stop: this one, or `nobody` where this one is root.
pub(super) struct Unprivileged {
    pub fixture: Fixture,
    pub program: PathBuf,
    pub root: bool,
}

impl Unprivileged {
    /// Who it is where this user is root.
    pub(super) const USER: u32 = NOBODY;

    pub(super) fn new() -> Self {
        let (fixture, root) = (fixture_with_store(), rustix::process::geteuid().is_root());
        let mut program = PathBuf::from(env!("CARGO_BIN_EXE_virksomhedslogin"));
        if root {
            // Where this one lies, `nobody` may perhaps not look.
            program = fixture.path("program");
            // By another process: a copy that this one has open for writing would be "busy" (ETXTBSY) wherever a thread
            // starts a program meanwhile.
            let copied =
                Command::new("cp").arg(env!("CARGO_BIN_EXE_virksomhedslogin")).arg(&program).status();
            assert!(copied.unwrap().success());
            give(fixture.directory.path(), NOBODY);
            picture(fixture.directory.path()).keys().for_each(|path| give(path, NOBODY));
        }
        Self { fixture, program, root }
    }

    pub(super) fn command(&self, what: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args([what, "--config", &self.fixture.config()]).env_remove("RUST_LOG").stdin(Stdio::null());
        self.demote(&mut command);
        command
    }

    /// Has the command run as `nobody` where this user is root.
    pub(super) fn demote(&self, command: &mut Command) {
        if self.root {
            command.uid(NOBODY).gid(NOBODY);
        }
    }

    fn predicted(&self, name: &str, code: i32, word: &str) {
        for what in ["check", "serve"] {
            let output = ended(self.command(what));
            assert_eq!(output.status.code(), Some(code), "{what} {name}: {}", stderr(&output));
            assert!(stderr(&output).contains(word), "{what} {name}: {}", stderr(&output));
        }
    }
}

#[test]
fn missing_permissions_are_predicted() {
    for (name, mode, code) in [
        ("store", 0o000, 1),
        ("store/lock", 0o400, 1),
        ("store/format", 0o000, 1),
        ("audit.ndjson", 0o400, 1),
        (".", 0o500, 1),
        ("jwks.json", 0o000, 2),
        ("access.toml", 0o000, 2),
        ("virksomhedslogin.toml", 0o000, 2),
    ] {
        let user = Unprivileged::new();
        if name == "." {
            // Then the audit file cannot be made.
            fs::remove_file(user.fixture.path("audit.ndjson")).unwrap();
        }
        set_mode(&user.fixture.path(name), mode);
        user.predicted(name, code, "Permission denied");
        set_mode(&user.fixture.path(name), 0o700);
    }
}

#[test]
fn files_of_another_user_are_predicted() {
    if !rustix::process::geteuid().is_root() {
        let line =
            "left out: files of another user for `check`, because changing the owner of files needs root";
        let _ = writeln!(std::io::stderr(), "{line}");
        return;
    }
    for (name, mode, word) in [
        ("store", 0o700, "Permission denied"),
        ("store/lock", 0o600, "Permission denied"),
        ("store/witness", 0o600, "Permission denied"),
        ("store/sled-v2/db", 0o600, "Permission denied"),
        ("store/sled-v2/db", 0o666, "Operation not permitted"),
        ("store", 0o777, "Operation not permitted"),
    ] {
        let user = Unprivileged::new();
        give(&user.fixture.path(name), OTHER);
        set_mode(&user.fixture.path(name), mode);
        user.predicted(name, 1, word);
    }
}

#[test]
fn directory_of_another_user_is_refused_before_anything_is_made() {
    if !rustix::process::geteuid().is_root() {
        let line =
            "left out: an empty directory of another user, because changing the owner of files needs root";
        let _ = writeln!(std::io::stderr(), "{line}");
        return;
    }
    for inside in [None, Some("lost+found")] {
        let user = Unprivileged::new();
        let store = user.fixture.path("store");
        fs::remove_dir_all(&store).unwrap();
        fs::create_dir(&store).unwrap();
        if let Some(name) = inside {
            fs::create_dir(store.join(name)).unwrap();
        }
        give(&store, OTHER);
        set_mode(&store, 0o777);
        let before = picture(&store);
        user.predicted("store", 1, "Operation not permitted");
        assert!(before == picture(&store), "something was made in {inside:?}");
    }
}

#[test]
fn absent_store_is_named_where_it_could_not_be_made_either() {
    let user = Unprivileged::new();
    let config = fs::read_to_string(user.fixture.config()).unwrap().replace("\"store\"", "\"volume/store\"");
    user.fixture.write("virksomhedslogin.toml", &format!("store.create = false\n{config}"));
    fs::create_dir(user.fixture.path("volume")).unwrap();
    set_mode(&user.fixture.path("volume"), 0o555);
    user.predicted("volume", 1, "store.create = false");
}

#[test]
fn what_a_start_repairs_itself_is_no_error() {
    let user = Unprivileged::new();
    for (name, mode) in [("store/witness", 0o400), ("store/sled-v2/db", 0o444), ("store", 0o500)] {
        set_mode(&user.fixture.path(name), mode);
    }
    let reported = ended(user.command("check"));
    assert_eq!(reported.status.code(), Some(0), "{}", stderr(&reported));
    drop(Service::start(user.command("serve"), user.fixture.token()));
}

#[test]
fn full_or_read_only_disk_is_predicted() {
    let fixture = Fixture::new();
    let disk = fixture.path("disk");
    fs::create_dir(&disk).unwrap();
    let mount = |arguments: &[&str]| {
        Command::new("mount").args(arguments).arg(&disk).output().is_ok_and(|output| output.status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=8m", "tmpfs"]) {
        let line =
            "left out: the full and the read-only disk of `check`, because mounting a tmpfs needs root";
        let _ = writeln!(std::io::stderr(), "{line}");
        return;
    }
    let store = [("VIRKSOMHEDSLOGIN__STORE__PATH", "disk/store")];
    let reported = |words: &str| {
        for what in ["check", "serve"] {
            let output = ended(command(what, &fixture.config(), &store));
            assert_eq!(output.status.code(), Some(1), "{what}: {}", stderr(&output));
            assert!(stderr(&output).contains(words), "{what}: {}", stderr(&output));
        }
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let filler = disk.join("filler");
        let _ = fs::write(&filler, vec![1; 9 << 20]);
        reported("No space left");
        fs::remove_file(&filler).unwrap();
        let mut service = Service::start(command("serve", &fixture.config(), &store), fixture.token());
        service.signal("TERM");
        service.wait(Duration::from_secs(10));
        assert!(mount(&["-o", "remount,ro"]));
        reported("Read-only file system");
    }));
    let _ = Command::new("umount").arg("-l").arg(&disk).status();
    outcome.unwrap();
}
