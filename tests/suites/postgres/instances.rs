//! Instances of the service on one database, and the commands beside them.

use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::suites::postgres::cluster_load::ask;
use crate::support::history::{body, now};
use crate::support::logins::kill;
use crate::support::process::{Fixture, ISSUER, Service, agent, binary, put};

/// How long a store's answer may take where a test waits until it has; 20 s elsewhere, which a busy machine never takes.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);
pub(super) const SHORT_DEADLINE: (&str, &str) = ("VIRKSOMHEDSLOGIN__STORE__DEADLINE_SECONDS", "2");

/// A configuration for PostgreSQL; where that is, is said in the file `url`.
pub(super) fn fixture(url: &str) -> Fixture {
    let fixture = Fixture::new();
    fixture.write("url", &format!("{url}\n"));
    fixture.write(
        "virksomhedslogin.toml",
        &format!(
            "server.listen = \"127.0.0.1:0\"\nserver.management = \"127.0.0.1:0\"\nserver.workers = 2\n\
             server.shutdown_timeout_seconds = 5\nstore.kind = \"postgres\"\nstore.url_file = \"url\"\n\
             store.deadline_seconds = 20\ntoken.issuer = \"{ISSUER}\"\ntoken.audience = \"aud\"\n\
             token.max_lifetime_seconds = 0\ntoken.jwks = \"file:jwks.json\"\n\
             access.file = \"access.toml\"\naudit.file = \"audit.ndjson\"\n"
        ),
    );
    fixture
}

/// When something was not there, in milliseconds.
pub(super) struct Outage {
    /// `None` is the database.
    pub instance: Option<usize>,
    pub from: i64,
    pub until: i64,
}

/// Instances with one configuration, some of them down at times.
pub(super) struct Instances {
    pub fixture: Fixture,
    pub services: Vec<Option<Service>>,
    /// Where each instance answers, or answered last.
    pub addresses: Vec<Arc<Mutex<String>>>,
    pub outages: Vec<Outage>,
}

impl Instances {
    /// All at once, so that on an empty database they make the tables at the same time.
    pub(super) fn start(url: &str, count: usize) -> Self {
        Self::start_with(url, count, &[])
    }

    pub(super) fn start_with(url: &str, count: usize, variables: &[(&str, &str)]) -> Self {
        let fixture = fixture(url);
        let services: Vec<_> = std::thread::scope(|scope| {
            let fixture = &fixture;
            let starts: Vec<_> =
                (0..count).map(|number| scope.spawn(move || instance(fixture, number, variables))).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        let instances = Self::of(services, fixture);
        instances.until_ready(Duration::from_secs(30));
        instances
    }

    pub(super) fn of(services: Vec<Service>, fixture: Fixture) -> Self {
        let addresses =
            services.iter().map(|service| Arc::new(Mutex::new(service.address.clone()))).collect();
        Self { fixture, services: services.into_iter().map(Some).collect(), addresses, outages: Vec::new() }
    }

    /// Kills an instance as `kill -9` does.
    pub(super) fn kill(&mut self, number: usize) {
        self.outages.push(Outage { instance: Some(number), from: now(), until: i64::MAX });
        kill(&mut self.services[number].take().unwrap());
    }

    /// Ends an instance in order, which it must do while it is being called.
    pub(super) fn end(&mut self, number: usize) {
        self.outages.push(Outage { instance: Some(number), from: now(), until: i64::MAX });
        let mut service = self.services[number].take().unwrap();
        service.signal("TERM");
        assert_eq!(service.wait(Duration::from_secs(10)).code(), Some(0), "{}", service.log());
    }

    pub(super) fn start_again(&mut self, number: usize) {
        let service = instance(&self.fixture, number, &[]);
        self.addresses[number].lock().unwrap().clone_from(&service.address);
        self.services[number] = Some(service);
        self.outages.iter_mut().rfind(|outage| outage.instance == Some(number)).unwrap().until = now();
    }

    /// Does something that stops the database and starts it again.
    pub(super) fn without_database(&mut self, act: impl FnOnce()) {
        let from = now();
        act();
        self.outages.push(Outage { instance: None, from, until: now() + 1_000 });
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().flatten()
    }

    /// Waits until every instance says that it is ready; returns how long that took.
    pub(super) fn until_ready(&self, at_most: Duration) -> Duration {
        let began = Instant::now();
        self.running().for_each(|service| {
            until_ready(service, at_most.saturating_sub(began.elapsed()));
        });
        began.elapsed()
    }
}

fn instance(fixture: &Fixture, number: usize, variables: &[(&str, &str)]) -> Service {
    let audit = format!("audit-{number}.ndjson");
    fixture.serve_with(&[variables, &[("VIRKSOMHEDSLOGIN__AUDIT__FILE", &audit)]].concat())
}

/// Calls one instance, from any thread.
pub(super) struct Caller {
    agent: ureq::Agent,
    address: String,
    token: String,
}

impl Caller {
    pub(super) fn of(service: &Service) -> Self {
        Self { agent: agent(), address: service.address.clone(), token: service.token.clone() }
    }

    /// The status of SetLogin for this company.
    pub(super) fn put(&self, cvr: &str) -> u16 {
        put(&self.agent, &self.address, &self.token, cvr, &body(cvr)).unwrap()
    }

    /// The status of GetLogin for this company.
    pub(super) fn get(&self, cvr: &str) -> u16 {
        let path = format!("/v1/Login?cvrNummer={cvr}");
        ask(&self.agent, &self.address, &self.token, &path, None).unwrap().status
    }
}

/// Waits until an instance says that it is ready.
pub(super) fn until_ready(service: &Service, at_most: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let (status, text) = service.management("/readyz");
        if status == 200 {
            return began.elapsed();
        }
        assert!(began.elapsed() <= at_most, "after {at_most:?} it is not ready: {text}\n{}", service.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A command of the program with this fixture's configuration.
pub(super) fn command(fixture: &Fixture, arguments: &[&str]) -> Command {
    let mut command = binary();
    let (name, rest) = arguments.split_first().unwrap();
    command.args([name, "--config", &fixture.config()]).args(rest);
    command
}

/// Runs a command that must end by itself; one that does not is killed, and the test fails.
pub(super) fn ended(mut command: Command) -> Output {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = rustix::process::Pid::from_child(&child);
    let (done, end) = std::sync::mpsc::channel::<()>();
    // The pipes are read meanwhile, so that a long answer does not stand still.
    let watch = std::thread::spawn(move || {
        let late =
            end.recv_timeout(Duration::from_secs(180)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        if late {
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
        late
    });
    let output = child.wait_with_output().unwrap();
    drop(done);
    assert!(!watch.join().unwrap(), "{command:?} does not end: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The same, where it must do its work; what it printed.
pub(super) fn done(command: Command) -> String {
    let reported = format!("{command:?}");
    let output = ended(command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{reported}: {:?}: {errors}", output.status.code());
    String::from_utf8(output.stdout).unwrap()
}
