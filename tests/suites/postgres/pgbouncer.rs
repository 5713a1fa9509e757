//! A real PgBouncer in transaction mode before a PostgreSQL of these tests, with the settings that it comes with.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpStream;
use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::cluster_control::reap;
use crate::support::cluster::{Cluster, PASSWORD, PASSWORD_IN_URL, ROLE, free_port, send, wait_until};
use crate::support::programs::{found, give, on_path, unprivileged};

const TIMEOUT: Duration = Duration::from_secs(10);

/// One PgBouncer; it ends with the value.
pub(super) struct Bouncer {
    directory: TempDir,
    port: u16,
    child: Option<Child>,
}

/// Debian keeps it where only root looks.
fn program() -> Option<std::path::PathBuf> {
    on_path("pgbouncer").or_else(|| std::path::Path::new("/usr/sbin/pgbouncer").canonicalize().ok())
}

impl Bouncer {
    /// Before this cluster, for [`ROLE`] and every database; `None`, said once, where there is no PgBouncer.
    pub(super) fn start(cluster: &Cluster) -> Option<Self> {
        if !found("PgBouncer", program().is_some(), "pgbouncer") {
            return None;
        }
        let directory = TempDir::new().unwrap();
        give(directory.path(), 0o700);
        let users = directory.path().join("users");
        fs::write(&users, format!("\"{ROLE}\" \"{PASSWORD}\"\n")).unwrap();
        give(&users, 0o600);
        let mut bouncer = Self { directory, port: 0, child: None };
        for _ in 0..5 {
            bouncer.port = free_port();
            let settings = format!(
                "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
                 listen_port = {}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\n\
                 pool_mode = transaction\n",
                cluster.port,
                bouncer.port,
                users.display()
            );
            let file = bouncer.directory.path().join("pgbouncer.ini");
            fs::write(&file, settings).unwrap();
            give(&file, 0o600);
            if bouncer.start_again() {
                return Some(bouncer);
            }
        }
        panic!("PgBouncer does not start:\n{}", bouncer.log());
    }

    /// Whether it listens now. A port that somebody else has does not end it, hence the look at its log.
    pub(super) fn start_again(&mut self) -> bool {
        let log = File::create(self.directory.path().join("log")).unwrap();
        let mut command = unprivileged(program().expect("PgBouncer"), self.directory.path());
        command.arg("pgbouncer.ini").stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        let listens =
            || self.log().contains("process up") && TcpStream::connect(("127.0.0.1", self.port)).is_ok();
        let up = wait_until(TIMEOUT, listens) && !self.log().contains("in use");
        if !up {
            self.stop();
        }
        up
    }

    /// Ends it at once; connections are cut.
    pub(super) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            send(child.id(), Signal::TERM);
            reap(&mut child, TIMEOUT);
        }
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    pub(super) fn url(&self, database: &str) -> String {
        format!("postgresql://{ROLE}:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = writeln!(std::io::stderr(), "PgBouncer's log:\n{}", self.log());
        }
        self.stop();
    }
}
