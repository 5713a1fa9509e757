//! Starting the real binary, talking to it, and ending exactly the process that was started.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;
use virksomhedslogin::testing::Signer;

use crate::support::test_store::TestStore;

pub(crate) const ISSUER: &str = "https://sts.example.dk";

pub(crate) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_virksomhedslogin"));
    command.env_remove("VIRKSOMHEDSLOGIN_CONFIG").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// A directory with a configuration, a key set and the shipped table of access.
pub(crate) struct Fixture {
    pub directory: TempDir,
    pub signer: Signer,
    /// Where its logins are.
    pub store: TestStore,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let signer = Signer::generate_es256("test").unwrap();
        let store = TestStore::wanted();
        let fixture = Self { directory, signer, store };
        let store_lines = fixture.store.configuration();
        fixture.write("jwks.json", &fixture.signer.jwks());
        fixture.write("access.toml", include_str!("../../config/access.toml"));
        fixture.write(
            "virksomhedslogin.toml",
            &format!(
                "server.listen = \"127.0.0.1:0\"\nserver.management = \"127.0.0.1:0\"\nserver.workers = 2\n\
                 server.shutdown_timeout_seconds = 5\n{store_lines}\ntoken.issuer = \"{ISSUER}\"\n\
                 token.audience = \"aud\"\ntoken.jwks = \"file:jwks.json\"\n\
                 token.max_lifetime_seconds = 0\naccess.file = \"access.toml\"\n\
                 audit.file = \"audit.ndjson\"\n"
            ),
        );
        fixture
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn config(&self) -> String {
        self.path("virksomhedslogin.toml").display().to_string()
    }

    /// A token of STAR with both scopes, good under any clock that a test sets.
    pub(crate) fn token(&self) -> String {
        let claims = json!({
            "iss": ISSUER, "aud": "aud", "exp": 4_000_000_000_i64, "sub": "tester",
            "scope": "virksomhedsinstats.login.read virksomhedsinstats.login.write",
            "organisationType": "STAR", "organisationCode": "STAR", "adgang": "AlleBorgere",
        });
        self.signer.sign(&claims.to_string()).unwrap()
    }

    /// Starts `serve` and waits until it listens.
    pub(crate) fn serve(&self) -> Service {
        self.serve_with(&[])
    }

    /// As [`Self::serve`], with these environment variables.
    pub(crate) fn serve_with(&self, variables: &[(&str, &str)]) -> Service {
        let mut command = binary();
        command.args(["serve", "--config", &self.config()]).envs(variables.iter().copied());
        Service::start(command, self.token())
    }
}

/// A running process of the binary.
pub(crate) struct Service {
    pub child: Child,
    pub address: String,
    pub management: String,
    pub token: String,
    log: Log,
}

/// The lines of a standard error, all of which are kept.
struct Log {
    lines: Receiver<String>,
    text: Mutex<String>,
}

impl Log {
    /// Waits at most this long for the next line.
    fn next_line(&self, at_most: Duration) -> Option<String> {
        let line = self.lines.recv_timeout(at_most).ok()?;
        let mut text = self.text.lock().unwrap();
        text.push_str(&line);
        text.push('\n');
        Some(line)
    }
}

impl Service {
    pub(crate) fn start(command: Command, token: String) -> Self {
        Self::start_with(command, token, Stdio::null())
    }

    /// As [`Self::start`], with this standard output.
    pub(crate) fn start_with(mut command: Command, token: String, stdout: Stdio) -> Self {
        Self::of(command.stderr(Stdio::piped()).stdout(stdout).spawn().unwrap(), token)
    }

    /// The service that this process, whose standard error is piped, becomes; waits until it listens.
    pub(crate) fn of(mut child: Child, token: String) -> Self {
        let (send, lines) = mpsc::channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let log = Log { lines, text: Mutex::default() };
        let until = Instant::now() + Duration::from_secs(30);
        while let Some(line) = log.next_line(until.saturating_duration_since(Instant::now())) {
            let addresses =
                line.split_once("listens on ").and_then(|(_, rest)| rest.split_once(", management on "));
            if let Some((address, management)) = addresses {
                let word = |text: &str| text.split([' ', ',', '"']).next().unwrap().to_owned();
                let (address, management) = (word(address), word(management));
                return Self { child, address, management, token, log };
            }
        }
        let _ = child.kill();
        let status = child.wait();
        panic!("the service did not start ({status:?}):\n{}", log.text.lock().unwrap());
    }

    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self, at_most: Duration) -> ExitStatus {
        let until = Instant::now() + at_most;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it still runs after {at_most:?}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// All that it has logged, once nothing more comes for a while. Also what came before it listened: which of two
    /// threads logs first is never certain.
    pub(crate) fn log(&self) -> String {
        while self.log.next_line(Duration::from_millis(200)).is_some() {}
        self.log.text.lock().unwrap().clone()
    }

    pub(crate) fn put(&self, cvr: &str) -> Result<u16, ureq::Error> {
        let body = format!(r#"{{"VirksomhedsLoginDto":{{"cvrNummer":"{cvr}"}}}}"#);
        put(&agent(), &self.address, &self.token, cvr, &body)
    }

    /// Status and body of a path of the management listener.
    pub(crate) fn management(&self, path: &str) -> (u16, String) {
        let mut response = agent().get(format!("http://{}{path}", self.management)).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let request = agent().get(format!("http://{}{path}", self.address));
        let mut response = request.header("Authorization", format!("Bearer {}", self.token)).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }
}

/// Sends this process a signal by its name. Not with a command: a bare machine has no `kill` outside of shells.
pub(crate) fn signal(child: &Child, name: &str) {
    use rustix::process::{Pid, Signal, kill_process};
    let signal = match name {
        "TERM" => Signal::TERM,
        "INT" => Signal::INT,
        "HUP" => Signal::HUP,
        "STOP" => Signal::STOP,
        "CONT" => Signal::CONT,
        other => panic!("no signal {other} is sent by these tests"),
    };
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into()
}

pub(crate) fn put(
    agent: &ureq::Agent,
    address: &str,
    token: &str,
    cvr: &str,
    body: &str,
) -> Result<u16, ureq::Error> {
    let request = agent.put(format!("http://{address}/v1/Login/{cvr}"));
    let request = request.header("Authorization", format!("Bearer {token}")).content_type("application/json");
    let mut response = request.send(body)?;
    let _ = response.body_mut().as_reader().read_to_end(&mut Vec::new());
    Ok(response.status().as_u16())
}
