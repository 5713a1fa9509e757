//! Real PostgreSQL servers, each in a temporary directory of its own, that end with the value.
//!
//! [`Cluster::start`] gives `None` on a machine without the server, after saying once which tests are left out.

use std::error::Error as _;
use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::support::programs::{available, give, programs, unprivileged};

/// The role that owns the databases of these tests; it is no superuser.
pub(crate) const ROLE: &str = "logins";
/// Its password and the superuser's, with characters that a URL has to encode.
pub(crate) const PASSWORD: &str = "kode/ord@9%";
/// The same in a URL.
pub(crate) const PASSWORD_IN_URL: &str = "kode%2Ford%409%25";

pub(crate) const SUPERUSER: &str = "postgres";
/// How long a server may take to accept connections, and to end.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// In a directory with the file `password`, into the directory `data`, as the superuser [`SUPERUSER`].
const INITDB: &str = "--no-sync -A scram-sha-256 -U postgres --pwfile=password --locale=C -E UTF8 -D data";

/// One server and its directory.
pub(crate) struct Cluster {
    pub directory: TempDir,
    pub port: u16,
    pub settings: Vec<String>,
    server: Mutex<Option<Child>>,
}

/// A port for a server that stops and comes back to it. Below those that the kernel gives to callers, which
/// would otherwise sit on it while the server is down, or connect to themselves.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(15_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks until the answer is yes, or the time is up.
pub(crate) fn wait_until(at_most: Duration, mut done: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + at_most;
    while !done() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Sends a signal; a process that is gone is no fault.
pub(crate) fn send(process: u32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(i32::try_from(process).unwrap()).unwrap(), signal);
}

impl Cluster {
    /// A new server with these settings (`name=value`), or `None` where there is no program for it. With `fsync=off` what
    /// was committed survives the server's death, not the machine's.
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        Self::start_with(settings, &[])
    }

    /// As [`Self::start`], with these files (name, text) in the data directory.
    pub(crate) fn start_with(settings: &[&str], files: &[(&str, &str)]) -> Option<Self> {
        if !available() {
            return None;
        }
        let cluster = Self::new(settings);
        cluster.initialise();
        for (name, text) in files {
            let path = cluster.data().join(name);
            fs::write(&path, text).unwrap();
            give(&path, 0o600);
        }
        let cluster = cluster.launch();
        cluster.sql("postgres", &format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'"));
        Some(cluster)
    }

    /// Makes the data directory. `initdb` takes two seconds of processor time, so its work is kept and copied: all servers
    /// have the same system identifier.
    fn initialise(&self) {
        fs::write(self.directory.path().join("password"), PASSWORD).unwrap();
        give(&self.directory.path().join("password"), 0o600);
        let version = self.command("initdb").arg("--version").output().unwrap().stdout;
        let of = crc32fast::hash(&[version, INITDB.into()].concat());
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("initdb-{of:08x}"));
        if kept.exists() {
            return run(Command::new("cp").arg("-a").arg(kept).arg(self.data()));
        }
        run(self.command("initdb").args(INITDB.split(' ')));
        let copy = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        run(Command::new("cp").arg("-a").arg(self.data()).arg(copy.path()));
        // Fails where another test was faster.
        let _ = fs::rename(copy.path().join("data"), kept);
    }

    /// A directory without a server in it.
    pub(crate) fn new(settings: &[&str]) -> Self {
        let directory = TempDir::new().unwrap();
        give(directory.path(), 0o700);
        let mut settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        settings.extend(["max_connections=100", "shared_buffers=16MB"].map(str::to_owned));
        Self { directory, port: free_port(), settings, server: Mutex::new(None) }
    }

    /// The first start; another port where somebody was faster.
    pub(crate) fn launch(mut self) -> Self {
        for _ in 0..5 {
            if self.try_start() {
                return self;
            }
            let log = self.log();
            assert!(log.contains("Address already in use"), "PostgreSQL does not start:\n{log}");
            self.port = free_port();
        }
        panic!("PostgreSQL finds no free port:\n{}", self.log());
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn command(&self, program: &str) -> Command {
        unprivileged(programs().expect("PostgreSQL's programs").join(program), self.directory.path())
    }

    pub(crate) fn try_start(&self) -> bool {
        let log = File::options().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).arg("-k").arg(self.directory.path());
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let mut child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut ended = false;
        let answered = wait_until(TIMEOUT, || {
            ended = child.try_wait().unwrap().is_some();
            ended || self.try_sql("postgres", "SELECT 1").is_ok()
        });
        if ended || !answered {
            child.kill().unwrap();
            child.wait().unwrap();
            assert!(ended, "PostgreSQL does not answer:\n{}", self.log());
            return false;
        }
        *self.server() = Some(child);
        true
    }

    pub(crate) fn server(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that the server has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Where [`ROLE`] finds this database over TCP.
    pub(crate) fn url(&self, database: &str) -> String {
        self.url_as(ROLE, PASSWORD_IN_URL, database)
    }

    /// The same for another role, whose password is encoded already.
    pub(crate) fn url_as(&self, role: &str, password: &str, database: &str) -> String {
        format!("postgresql://{role}:{password}@127.0.0.1:{}/{database}", self.port)
    }

    /// A new, empty database that belongs to [`ROLE`].
    pub(crate) fn create_database(&self) -> String {
        let name = format!("logins_{:08x}", fastrand::u32(..));
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {ROLE}"));
        name
    }

    /// Runs statements as the superuser: the rows of all of them, as text; NULL is empty.
    pub(crate) fn sql(&self, database: &str, text: &str) -> Vec<Vec<String>> {
        self.try_sql(database, text).unwrap_or_else(|error| panic!("{text}: {error}\n{}", self.log()))
    }

    /// As [`Self::sql`], where a failure is expected.
    pub(crate) fn try_sql(&self, database: &str, text: &str) -> Result<Vec<Vec<String>>, String> {
        query(&self.config(database), text)
    }

    pub(super) fn config(&self, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.directory.path()).port(self.port).dbname(database);
        config.user(SUPERUSER).password(PASSWORD).connect_timeout(Duration::from_secs(5));
        config
    }

    /// Sends SIGSTOP to all processes of the server, after which connections stay and are silent, or SIGCONT.
    pub(crate) fn signal_all(&self, signal: Signal) {
        if let Some(child) = &*self.server() {
            let to_children = || children(child.id()).into_iter().for_each(|process| send(process, signal));
            // The parent stops first and goes on last, so that it starts no child meanwhile.
            if signal == Signal::CONT {
                to_children();
                send(child.id(), signal);
            } else {
                send(child.id(), signal);
                to_children();
            }
        }
    }

    /// Kills all processes of the server at once.
    pub(crate) fn kill_9(&self) {
        if let Some(mut child) = self.server().take() {
            // Held first, so that it starts no more.
            send(child.id(), Signal::STOP);
            children(child.id()).into_iter().for_each(|process| send(process, Signal::KILL));
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let from = log.char_indices().rev().nth(3_000).map_or(0, |(at, _)| at);
            let _ = writeln!(std::io::stderr(), "the end of PostgreSQL's log:\n{}", &log[from..]);
        }
        self.signal_all(Signal::CONT);
        if let Some(child) = &*self.server() {
            // At once: nothing of it is needed any more.
            send(child.id(), Signal::QUIT);
        }
        let ends = || self.server().as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
        if !wait_until(Duration::from_secs(10), ends) {
            self.kill_9();
        }
    }
}

/// The processes that this one started itself.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let process: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // After the name, which may hold anything: state and parent.
        let of = stat.rsplit_once(") ")?.1.split(' ').nth(1)?;
        (of.parse() == Ok(parent)).then_some(process)
    });
    processes.collect()
}

pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let reported = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{command:?}: {}", reported.concat());
}

/// Runs statements on a connection and a thread of its own, because the caller may be inside a runtime: the rows as text.
pub(crate) fn query(config: &tokio_postgres::Config, text: &str) -> Result<Vec<Vec<String>>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let asked = async {
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        client.simple_query(text).await
    };
    // Inside the runtime: a timer needs one.
    let limited = async { tokio::time::timeout(TIMEOUT, asked).await };
    let reported = |error: tokio_postgres::Error| {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        error
            .as_db_error()
            .map_or_else(|| format!("{error}{cause}"), |from_server| from_server.message().to_owned())
    };
    let answered = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(limited)).join().unwrap());
    let messages = answered.map_err(|_| "no answer".to_owned())?.map_err(reported)?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((0..row.len()).map(|at| row.get(at).unwrap_or_default().to_owned()).collect())
        }
        _ => None,
    });
    Ok(rows.collect())
}
