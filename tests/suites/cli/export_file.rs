//! `export --output`: interrupted it leaves nothing, and it never writes through a link that somebody planted.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::suites::cli::program::*;
use crate::suites::cli::records::*;
use crate::support::process::*;

/// Every name in this directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = directory.read_dir().unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A management listener that sends the first half of an export and then nothing; its address, and a signal when that is done.
fn half_an_export() -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (send, sent) = mpsc::channel();
    std::thread::spawn(move || {
        let text = list(2_000);
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&text.as_bytes()[..text.len() / 2]).unwrap();
        let _ = send.send(());
        // Until the other end is gone.
        let _ = stream.read(&mut [0; 1]);
    });
    (address, sent)
}

#[test]
fn interrupted_export_leaves_no_file() {
    for (name, old) in [("INT", None), ("TERM", Some("old")), ("HUP", None), ("KILL", Some("old"))] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("logins.ndjson");
        if let Some(old) = old {
            std::fs::write(&file, old).unwrap();
        }
        let before = names(directory.path());
        let (address, sent) = half_an_export();
        let mut child = binary()
            .args(["export", "--from", &address, "--output", file.to_str().unwrap()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        sent.recv_timeout(Duration::from_secs(20)).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        if name == "KILL" {
            child.kill().unwrap()
        } else {
            signal(&child, name)
        }
        assert!(!child.wait().unwrap().success());
        assert_eq!(names(directory.path()), before, "SIG{name}");
        if let Some(old) = old {
            assert_eq!(std::fs::read_to_string(&file).unwrap(), old, "SIG{name}");
        }
    }
}

#[test]
fn export_beyond_the_limit_of_file_sizes_leaves_no_file() {
    let fixture = Fixture::new();
    import(&fixture, "list.ndjson", &list(5_000), &[]);
    let directory = tempfile::tempdir().unwrap();
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -f 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_virksomhedslogin")]);
    limited
        .args(["export", "--config", &fixture.config(), "--output"])
        .arg(directory.path().join("logins.ndjson"));
    assert!(!limited.output().unwrap().status.success());
    assert_eq!(names(directory.path()), [""; 0]);
}

#[test]
fn planted_link_is_not_followed_out_of_its_directory() {
    let fixture = Fixture::new();
    import(&fixture, "list.ndjson", &list(3), &[]);
    let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = elsewhere.path().join("victim");
    let file = directory.path().join("logins.ndjson");
    let export = || command(&fixture, "export", &["--output", file.to_str().unwrap()]);
    let relative = format!("../{}/victim", elsewhere.path().file_name().unwrap().to_str().unwrap());
    for target in [victim.to_str().unwrap(), &relative] {
        for there in [true, false] {
            let _ = std::fs::remove_file(&victim);
            let _ = std::fs::remove_file(&file);
            if there {
                std::fs::write(&victim, "of somebody else").unwrap();
            }
            symlink(target, &file).unwrap();
            assert_ended(&export(), 1, &["is a symbolic link to ", "name the file itself"]);
            assert_eq!(victim.exists(), there, "{target}");
            if there {
                assert_eq!(std::fs::read_to_string(&victim).unwrap(), "of somebody else");
            }
        }
    }
    // A second name of the same file: the name is replaced, the file is not written.
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&victim, "of somebody else").unwrap();
    std::fs::hard_link(&victim, &file).unwrap();
    assert_ended(&export(), 0, &[]);
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "of somebody else");
    assert_eq!(file.metadata().unwrap().nlink(), 1);
    // Within the directory a link is followed, and stays one.
    let link = directory.path().join("newest.ndjson");
    std::fs::write(&file, "the old one").unwrap();
    symlink("logins.ndjson", &link).unwrap();
    assert_ended(&command(&fixture, "export", &["--output", link.to_str().unwrap()]), 0, &[]);
    assert!(link.is_symlink());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), list(3));
    assert_eq!(names(directory.path()), ["logins.ndjson", "newest.ndjson"]);
}

#[test]
fn standard_output_is_named_by_a_dash() {
    let fixture = Fixture::new();
    import(&fixture, "list.ndjson", &list(3), &[]);
    let output = command(&fixture, "export", &["--output", "-"]);
    assert_ended(&output, 0, &[]);
    assert_eq!(stdout(&output), list(3));
    assert!(!Path::new("-").exists());
    let pipe = fixture.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for place in ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", pipe.to_str().unwrap(), "/dev/null"] {
        assert_ended(&command(&fixture, "export", &["--output", place]), 1, &[place, "- is standard output"]);
    }
}
