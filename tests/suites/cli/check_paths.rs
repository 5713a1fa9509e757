//! `check` and every kind of path: whatever stops `serve` is found by `check` first, with the same words and exit code.
//!
//! Each key that names a path is given each kind of thing that can be there. Neither command may hang.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::suites::cli::check::ended;
use crate::suites::cli::check_machine::Unprivileged;
use crate::suites::cli::program::stderr;

/// What may be where a path points.
const KINDS: [&str; 17] = [
    "nothing",
    "nothing, with a slash",
    "file",
    "directory",
    "directory that is not empty",
    "pipe",
    "socket without a listener",
    "device",
    "device of zeroes",
    "dangling link",
    "link to itself",
    "missing parent",
    "file as parent",
    "directory without permission",
    "file without permission",
    "too long name",
    "too long path",
];

/// Makes it in this directory; its path.
fn make(kind: &str, within: &Path, text: &str) -> String {
    let path = within.join("it");
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let shown = |path: &Path| path.display().to_string();
    match kind {
        "nothing" => {}
        "nothing, with a slash" => return format!("{}/", shown(&path)),
        "file" => fs::write(&path, text).unwrap(),
        "directory" => fs::create_dir(&path).unwrap(),
        "directory that is not empty" => {
            fs::create_dir(&path).unwrap();
            fs::write(path.join("something"), text).unwrap();
        }
        "pipe" => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
        "socket without a listener" => drop(UnixListener::bind(&path).unwrap()),
        "device" => return "/dev/null".to_owned(),
        "device of zeroes" => return "/dev/zero".to_owned(),
        "dangling link" => symlink("elsewhere", &path).unwrap(),
        "link to itself" => symlink("it", &path).unwrap(),
        "missing parent" => return shown(&path.join("it")),
        "file as parent" => {
            fs::write(&path, text).unwrap();
            return shown(&path.join("it"));
        }
        "directory without permission" => {
            fs::create_dir(&path).unwrap();
            mode(&path, 0o500);
            return shown(&path.join("it"));
        }
        "file without permission" => {
            fs::write(&path, text).unwrap();
            mode(&path, 0);
        }
        "too long name" => return shown(&within.join("x".repeat(300))),
        "too long path" => return format!("{}/it", "/x".repeat(2_100)),
        other => panic!("{other} is not known"),
    }
    shown(&path)
}

/// How `serve` ends: its code and its words; nothing when it starts.
fn serve(mut command: Command) -> Option<(Option<i32>, String)> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (send, lines) = mpsc::channel();
    let log = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    let mut text = String::new();
    loop {
        match lines.recv_timeout(Duration::from_secs(20)) {
            Ok(line) if line.contains("listens on ") => break,
            Ok(line) => text = text + &line + "\n",
            Err(mpsc::RecvTimeoutError::Disconnected) => return Some((child.wait().unwrap().code(), text)),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                let _ = child.kill();
                panic!("serve neither starts nor ends:\n{text}");
            }
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// Tries each kind for this key; `text` is what a good file holds.
fn compare(key: &str, prefix: &str, text: &str) {
    compare_for(&Unprivileged::new(), key, prefix, text);
}

fn compare_for(user: &Unprivileged, key: &str, prefix: &str, text: &str) {
    let mut wrong = Vec::new();
    let mut refused = 0;
    for (index, kind) in KINDS.iter().enumerate() {
        let within = user.fixture.path(&format!("case-{index}"));
        fs::create_dir(&within).unwrap();
        let path = make(kind, &within, text);
        if user.root {
            let all = Command::new("chown")
                .args(["-hR", &format!("{0}:{0}", Unprivileged::USER)])
                .arg(&within)
                .status();
            assert!(all.unwrap().success());
        }
        let command = |what: &str| {
            let mut command = user.command(what);
            if key == "--config" {
                command = Command::new(command.get_program());
                command.args([what, "--config", &path]).stdin(Stdio::null());
                user.demote(&mut command);
            } else {
                command.env(format!("VIRKSOMHEDSLOGIN__{key}"), format!("{prefix}{path}"));
            }
            command
        };
        let checked = std::panic::catch_unwind(|| ended(command("check")));
        let served = std::panic::catch_unwind(|| serve(command("serve")));
        let (Ok(checked), Ok(served)) = (checked, served) else {
            wrong.push(format!("{key}, {kind}: a command hangs"));
            continue;
        };
        let reported = stderr(&checked);
        let agree = match &served {
            None => checked.status.code() == Some(0),
            Some((code, log)) => {
                let reason = log.rsplit_once("error: ").map_or(log.as_str(), |(_, reason)| reason).trim();
                refused += 1;
                checked.status.code() == *code && reported.contains(reason)
            }
        };
        if !agree {
            wrong.push(format!(
                "{key}, {kind}: check ends with {:?}: {reported}\nserve: {served:?}",
                checked.status.code()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(refused > 8, "{refused} kinds are refused");
}

#[test]
fn audit_file_of_every_kind_is_checked() {
    compare("AUDIT__FILE", "", "");
}

#[test]
fn socket_of_every_kind_is_checked() {
    compare("SERVER__LISTEN", "unix:", "");
}

#[test]
fn store_path_of_every_kind_is_checked() {
    compare("STORE__PATH", "", "");
}

#[test]
fn access_file_of_every_kind_is_checked() {
    compare("ACCESS__FILE", "", include_str!("../../../config/access.toml"));
}

#[test]
fn ca_file_of_every_kind_is_checked() {
    compare("TOKEN__CA_FILE", "", include_str!("../../fixtures/config/beside/ca.pem"));
}

#[test]
fn key_file_of_every_kind_is_checked() {
    let key = include_str!("../../fixtures/keys/p256-a.jwk");
    compare("TOKEN__JWKS", "file:", &format!("{{\"keys\":[{key}]}}"));
}

#[test]
fn configuration_file_of_every_kind_is_checked() {
    compare("--config", "", "[server]\nworkers = 0\n");
}

#[test]
fn connection_file_of_every_kind_is_checked() {
    let user = Unprivileged::new();
    let text = fs::read_to_string(user.fixture.config()).unwrap();
    let shared = text.replace(&user.fixture.store.configuration(), "store.kind = \"postgres\"");
    assert!(shared != text, "{text}");
    user.fixture.write("virksomhedslogin.toml", &shared);
    // Nothing listens there: the service starts, and waits for it.
    compare_for(&user, "STORE__URL_FILE", "", "postgresql://u@127.0.0.1:1/logins\n");
}
