//! Stopping a cluster and starting it again: ends of every kind, silence, a standby.

use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::cluster::{Cluster, PASSWORD_IN_URL, ROLE, SUPERUSER, TIMEOUT, run, send, wait_until};

/// Waits for a child to end, and kills it when it does not.
pub(super) fn reap(child: &mut Child, at_most: Duration) {
    if !wait_until(at_most, || child.try_wait().unwrap().is_some()) {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Cluster {
    /// The same over the server's socket.
    pub(crate) fn url_over_socket(&self, database: &str) -> String {
        let directory = self.directory.path().display().to_string().replace('/', "%2F");
        format!("postgresql://{ROLE}:{PASSWORD_IN_URL}@{directory}:{}/{database}", self.port)
    }

    /// Ends the server as a power cut would for its own memory (`-m immediate`).
    pub(crate) fn stop_immediate(&self) {
        self.stop(Signal::QUIT);
    }

    /// Ends the server in order; connections are cut.
    pub(crate) fn stop_fast(&self) {
        self.stop(Signal::INT);
    }

    fn stop(&self, signal: Signal) {
        if let Some(mut child) = self.server().take() {
            send(child.id(), signal);
            reap(&mut child, TIMEOUT);
        }
    }

    /// Starts a server that was stopped, on the port that it had.
    pub(crate) fn start_again(&self) {
        assert!(self.server().is_none(), "it runs");
        assert!(wait_until(TIMEOUT, || self.try_start()), "PostgreSQL does not come back:\n{}", self.log());
    }

    /// Freezes all processes of the server: connections stay, and are silent.
    pub(crate) fn pause(&self) {
        self.signal_all(Signal::STOP);
    }

    /// Ends what [`Self::pause`] began.
    pub(crate) fn resume(&self) {
        self.signal_all(Signal::CONT);
    }

    /// A second server that follows this one; from now on nothing is committed here before it is there as well.
    pub(crate) fn standby(&self, name: &str) -> Self {
        let mut standby = Self::new(&["hot_standby=on"]);
        standby.settings.clone_from(&self.settings);
        standby.settings.push(format!("cluster_name={name}"));
        let mut backup = standby.command("pg_basebackup");
        backup.args(["-R", "-X", "stream", "--checkpoint=fast", "--no-sync", "-D", "data", "-U", SUPERUSER]);
        run(backup.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]));
        let standby = standby.launch();
        self.sql("postgres", &format!("ALTER SYSTEM SET synchronous_standby_names = 'FIRST 1 ({name})'"));
        self.sql("postgres", "SELECT pg_reload_conf()");
        let follows = || {
            let rows = self.sql("postgres", "SELECT application_name, sync_state FROM pg_stat_replication");
            rows == [[name, "sync"]]
        };
        assert!(wait_until(TIMEOUT, follows), "the standby does not follow:\n{}", standby.log());
        standby
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&self) {
        let mut promote = self.command("pg_ctl");
        run(promote.args(["promote", "-w", "-t", "30", "-D", "data"]));
    }
}
