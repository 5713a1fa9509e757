//! `serve` under a service manager: what it notifies it of (sd_notify(3)) and the sockets it takes from it (sd_listen_fds(3)).

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::suites::cli::program::stderr;
use crate::support::process::{Fixture, Service, binary};

/// The service manager's end of `NOTIFY_SOCKET`.
pub(super) struct Manager {
    socket: UnixDatagram,
    pub path: std::path::PathBuf,
}

impl Manager {
    pub(super) fn new(fixture: &Fixture) -> Self {
        let path = fixture.path("notify");
        Self { socket: UnixDatagram::bind(&path).unwrap(), path }
    }

    /// The next message, as lines.
    pub(super) fn reported(&self, at_most: Duration) -> Option<Vec<String>> {
        self.socket.set_read_timeout(Some(at_most)).unwrap();
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).ok()?;
        Some(std::str::from_utf8(&message[..length]).unwrap().lines().map(ToOwned::to_owned).collect())
    }

    pub(super) fn next(&self) -> Vec<String> {
        self.reported(Duration::from_secs(20)).expect("the manager is notified")
    }

    pub(super) fn command(&self, fixture: &Fixture) -> Command {
        let mut command = binary();
        command.args(["serve", "--config", &fixture.config()]);
        self.of(command)
    }

    /// This command, whose process notifies this manager.
    pub(super) fn of(&self, mut command: Command) -> Command {
        command.env("NOTIFY_SOCKET", &self.path);
        command
    }
}

#[test]
fn it_says_ready_around_a_reload_and_stopping() {
    let fixture = Fixture::new();
    let manager = Manager::new(&fixture);
    let mut service = Service::start(manager.command(&fixture), fixture.token());
    let ready = manager.next();
    assert_eq!(ready, ["READY=1".to_owned(), format!("STATUS=answers on {}", service.address)]);
    assert_eq!(service.put("12345678").unwrap(), 204, "ready means served");

    service.signal("HUP");
    let reloading = manager.next();
    assert_eq!(reloading[0], "RELOADING=1");
    assert!(
        reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse::<u64>().unwrap() > 0,
        "{reloading:?}"
    );
    assert_eq!(manager.next(), ["READY=1", "STATUS=access table, keys and audit file were reloaded"]);

    fixture.write("access.toml", "version = 2\nx = 1\n");
    service.signal("HUP");
    assert_eq!(manager.next()[0], "RELOADING=1");
    let refused = manager.next();
    assert_eq!((refused.len(), refused[0].as_str()), (2, "READY=1"), "{refused:?}");
    assert!(refused[1].starts_with("STATUS=reload refused: ") && refused[1].contains("access.toml"));

    service.signal("TERM");
    assert_eq!(manager.next(), ["STOPPING=1", "STATUS=stopping"]);
    assert_eq!(service.wait(Duration::from_secs(10)).code(), Some(0));
}

#[test]
fn a_start_that_fails_is_never_called_ready() {
    let fixture = Fixture::new();
    let manager = Manager::new(&fixture);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output =
        manager.command(&fixture).env("VIRKSOMHEDSLOGIN__SERVER__LISTEN", &address).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert_eq!(manager.reported(Duration::from_millis(100)), None);
}

#[test]
fn the_watchdog_is_fed_at_least_twice_in_its_time() {
    let fixture = Fixture::new();
    let manager = Manager::new(&fixture);
    let mut command = manager.command(&fixture);
    command.env("WATCHDOG_USEC", "2000000");
    let _service = Service::start(command, fixture.token());
    assert_eq!(manager.next()[0], "READY=1");
    let began = Instant::now();
    for _ in 0..8 {
        assert_eq!(manager.next(), ["WATCHDOG=1"]);
    }
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}

#[test]
fn without_a_watchdog_nothing_is_fed() {
    let fixture = Fixture::new();
    let manager = Manager::new(&fixture);
    for (name, value) in [("WATCHDOG_PID", "1"), ("WATCHDOG_USEC", "0")] {
        let mut command = manager.command(&fixture);
        command.env("WATCHDOG_USEC", "100000").env(name, value);
        let _service = Service::start(command, fixture.token());
        assert_eq!(manager.next()[0], "READY=1");
        assert_eq!(manager.reported(Duration::from_millis(500)), None, "{name}={value}");
    }
}

/// `serve` with these sockets (first its standard input, then its standard output) as a service manager hands them over.
pub(super) fn handed_over(fixture: &Fixture, names: &str, sockets: Vec<OwnedFd>) -> Command {
    let mut command = Command::new("sh");
    let script = r#"exec 3<&0 4>&1 0</dev/null 1>/dev/null; LISTEN_PID=$$ exec "$@""#;
    command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_virksomhedslogin")]);
    command.args(["serve", "--config", &fixture.config()]);
    command.env_remove("VIRKSOMHEDSLOGIN_CONFIG").env_remove("RUST_LOG");
    command.env("LISTEN_FDS", sockets.len().to_string()).env("LISTEN_FDNAMES", names);
    let mut sockets = sockets.into_iter();
    command.stdin(sockets.next().map_or_else(Stdio::null, Stdio::from));
    command.stdout(sockets.next().map_or_else(Stdio::null, Stdio::from));
    command
}

/// As [`Service::start`], which keeps standard output for itself.
fn started(mut command: Command) -> (std::process::Child, String) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut log = String::new();
    while !log.contains("listens on ") {
        let read = std::io::BufRead::read_line(&mut stderr, &mut log).unwrap();
        assert!(read > 0, "it did not start: {log}");
    }
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    (child, log)
}

fn stop(mut child: std::process::Child) {
    crate::support::process::signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn passed_tcp_sockets_replace_the_configured_addresses() {
    let fixture = Fixture::new();
    let (api, management) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (address, metrics) = (api.local_addr().unwrap(), management.local_addr().unwrap());
    // A client that came before the service waits in the queue.
    let mut early = std::net::TcpStream::connect(address).unwrap();
    early.write_all(b"GET /v1/Logins HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let command = handed_over(&fixture, "management:api", vec![management.into(), api.into()]);
    let (child, log) = started(command);
    assert!(log.contains(&format!("listens on {address}, management on {metrics}")), "{log}");
    let mut answer = String::new();
    early.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    let ready = crate::support::process::agent().get(format!("http://{metrics}/readyz")).call().unwrap();
    assert_eq!(ready.status(), 200);
    stop(child);
}

#[test]
fn a_unix_socket_that_was_handed_over_is_served() {
    let fixture = Fixture::new();
    let path = fixture.path("handed.sock");
    let command = handed_over(&fixture, "", vec![UnixListener::bind(&path).unwrap().into()]);
    let (child, log) = started(command);
    assert!(log.contains(&format!("listens on unix:{}", path.display())), "{log}");
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(b"GET /v1/Logins HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    stop(child);
    assert!(path.exists(), "the one who bound it removes it");
}

#[test]
fn sockets_that_cannot_be_used_stop_the_start_with_code_2() {
    let fixture = Fixture::new();
    let tcp = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
    let datagram = || OwnedFd::from(UnixDatagram::unbound().unwrap());
    let bound = |family, address: &dyn Fn(&OwnedFd)| {
        let socket = rustix::net::socket(family, rustix::net::SocketType::STREAM, None).unwrap();
        address(&socket);
        socket
    };
    let silent_unix = bound(rustix::net::AddressFamily::UNIX, &|socket| {
        let path = fixture.path("silent.sock");
        rustix::net::bind(socket, &rustix::net::SocketAddrUnix::new(path).unwrap()).unwrap();
    });
    let silent_tcp = || {
        bound(rustix::net::AddressFamily::INET, &|socket| {
            rustix::net::bind(socket, &"127.0.0.1:0".parse::<std::net::SocketAddrV4>().unwrap()).unwrap();
        })
    };
    for (names, sockets, word) in [
        ("api", vec![silent_unix], "does not listen"),
        ("api", vec![silent_tcp()], "does not listen"),
        ("management", vec![silent_tcp()], "does not listen"),
        ("api:api", vec![tcp(), tcp()], "one more socket"),
        ("api", vec![datagram()], "is not a valid"),
        ("management", vec![datagram()], "is not a valid"),
        ("management:management", vec![tcp(), tcp()], "one more socket"),
    ] {
        let output = handed_over(&fixture, names, sockets).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{names}: {}", stderr(&output));
        assert!(stderr(&output).contains(word), "{names}: {}", stderr(&output));
    }
    let mut command = handed_over(&fixture, "management", vec![tcp()]);
    let output = command.env("VIRKSOMHEDSLOGIN__SERVER__MANAGEMENT", "off").output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("server.management is off"), "{}", stderr(&output));
}

#[test]
fn sockets_meant_for_another_process_are_left_alone() {
    let fixture = Fixture::new();
    let mut command = binary();
    command.args(["serve", "--config", &fixture.config()]).env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    let service = Service::start(command, fixture.token());
    assert_eq!(service.put("12345678").unwrap(), 204);
}
