//! The Unix socket of `server.listen`: only a dead one of this user is replaced, and a busy one never holds the start up.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::time::Duration;

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};

use crate::suites::cli::check::{command, ended};
use crate::suites::cli::program::{stderr, stdout};
use crate::support::process::{Fixture, Service};

fn stream_socket() -> OwnedFd {
    socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap()
}

/// A stream socket that is bound to this path and does not listen.
fn bound(path: &Path) -> OwnedFd {
    let socket = stream_socket();
    bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    socket
}

/// `check` and `serve` on this socket; it is the same file afterwards.
fn is_left_alone(fixture: &Fixture, path: &Path, code: i32, word: &str) {
    let before = path.symlink_metadata().unwrap().ino();
    let listen = format!("unix:{}", path.display());
    let variables = [("VIRKSOMHEDSLOGIN__SERVER__LISTEN", listen.as_str())];
    let served = ended(command("serve", &fixture.config(), &variables));
    assert_eq!(served.status.code(), Some(1), "{}", stderr(&served));
    assert!(stderr(&served).contains(word), "{word} in {}", stderr(&served));
    let checked = ended(command("check", &fixture.config(), &variables));
    assert_eq!(checked.status.code(), Some(code), "{}", stderr(&checked));
    let reported = if code == 0 { stdout(&checked) } else { stderr(&checked) };
    assert!(reported.contains(if code == 0 { "note: server.listen: " } else { word }), "{reported}");
    assert_eq!(path.symlink_metadata().unwrap().ino(), before, "it was replaced");
}

#[test]
fn busy_socket_does_not_block_the_start() {
    let fixture = Fixture::new();
    let path = fixture.path("api.sock");
    let listener = bound(&path);
    listen(&listener, 1).unwrap();
    let mut waiting = Vec::new();
    loop {
        let client = stream_socket();
        if connect(&client, &SocketAddrUnix::new(&path).unwrap()).is_err() {
            break;
        }
        waiting.push(client);
    }
    assert!(!waiting.is_empty() && waiting.len() < 100);
    is_left_alone(&fixture, &path, 0, "in use");
}

#[test]
fn socket_that_is_bound_but_does_not_listen_is_not_replaced() {
    let fixture = Fixture::new();
    let path = fixture.path("api.sock");
    let _bound = bound(&path);
    is_left_alone(&fixture, &path, 0, "in use");
}

#[test]
fn socket_of_another_kind_is_not_replaced() {
    let fixture = Fixture::new();
    let path = fixture.path("api.sock");
    let _datagram = UnixDatagram::bind(&path).unwrap();
    is_left_alone(&fixture, &path, 0, "in use");
}

#[test]
fn dead_socket_of_another_user_is_not_replaced() {
    if !rustix::process::geteuid().is_root() {
        use std::io::Write;
        let line = "left out: the socket of another user, because changing the owner of files needs root";
        let _ = writeln!(std::io::stderr(), "{line}");
        return;
    }
    let fixture = Fixture::new();
    let path = fixture.path("api.sock");
    drop(UnixListener::bind(&path).unwrap());
    chown(&path, Some(65_533), Some(65_533)).unwrap();
    is_left_alone(&fixture, &path, 1, "belongs to user 65533");
}

#[test]
fn dead_socket_of_this_user_is_replaced() {
    let fixture = Fixture::new();
    let path = fixture.path("api.sock");
    drop(UnixListener::bind(&path).unwrap());
    let listen = format!("unix:{}", path.display());
    let variables = [("VIRKSOMHEDSLOGIN__SERVER__LISTEN", listen.as_str())];
    assert_eq!(ended(command("check", &fixture.config(), &variables)).status.code(), Some(0));
    for end in ["KILL", "TERM"] {
        let mut service = Service::start(command("serve", &fixture.config(), &variables), fixture.token());
        if end == "TERM" {
            service.signal(end);
            assert_eq!(service.wait(Duration::from_secs(10)).code(), Some(0));
        }
    }
}

#[test]
fn ipv4_caller_of_an_ipv6_listener_appears_as_ipv4() {
    let fixture = Fixture::new();
    let variables =
        [("VIRKSOMHEDSLOGIN__SERVER__LISTEN", "[::]:0"), ("VIRKSOMHEDSLOGIN__SERVER__MANAGEMENT", "[::]:0")];
    let mut service = Service::start(command("serve", &fixture.config(), &variables), fixture.token());
    let port = service.address.rsplit_once(':').unwrap().1;
    service.address = format!("127.0.0.1:{port}");
    assert_eq!(service.put("12345678").unwrap(), 204);
    let audit = fs::read_to_string(fixture.path("audit.ndjson")).unwrap();
    assert!(audit.contains("\"remote\":\"127.0.0.1\""), "{audit}");
}
