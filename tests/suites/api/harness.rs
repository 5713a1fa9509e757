//! A whole service on a port of its own: a real store, real HTTP, real signatures, and a clock that stands still until a test
//! turns it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use virksomhedslogin::testing::Signer;
use virksomhedslogin::testing::Timestamp;
use virksomhedslogin::testing::settings;
use virksomhedslogin::testing::{AccessMode, Method, OrganisationType};
use virksomhedslogin::testing::{App, Reload};
use virksomhedslogin::testing::{Clock, ClockLimits};

use crate::suites::api::proxy::Proxy;
use crate::support::manual_clock::ManualClock;
use crate::support::test_store::TestStore;

pub(super) const ISSUER: &str = "https://sts.example.dk";
pub(super) const AUDIENCE: &str = "virksomhedslogin";
/// What the clock shows when a service starts.
pub(super) const START: &str = "2026-11-23T08:15:30.123Z";
/// Before it the clock is plainly wrong.
pub(super) const EARLIEST: &str = "2026-11-01T00:00:00.000Z";
pub(super) const ALL_SCOPES: &str = "virksomhedsinstats.login.read virksomhedsinstats.login.write";

/// A running service.
pub(super) struct TestApp {
    pub address: String,
    pub management: String,
    pub clock: Arc<ManualClock>,
    pub signer: Arc<Signer>,
    pub directory: TempDir,
    pub reload: Reload,
    /// Where its logins are; goes after the service.
    pub store: TestStore,
    /// Stands before the service, when the tests are asked to go through one; ended after it.
    proxy: Option<Proxy>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts a service with the shipped table of access.
pub(super) fn spawn_app() -> TestApp {
    spawn_app_with("")
}

/// Starts a service with these lines added to its configuration.
pub(super) fn spawn_app_with(more: &str) -> TestApp {
    spawn(more, false)
}

/// As [`spawn_app_with`], on a Unix socket: only [`TestApp::raw`] reaches it.
pub(super) fn spawn_app_on_socket(more: &str) -> TestApp {
    spawn(more, true)
}

fn spawn(more: &str, on_socket: bool) -> TestApp {
    let directory = TempDir::new().unwrap();
    let signer = Arc::new(Signer::generate_es256("test").unwrap());
    std::fs::write(directory.path().join("jwks.json"), signer.jwks()).unwrap();
    std::fs::copy(shipped("access.toml"), directory.path().join("access.toml")).unwrap();
    let config = directory.path().join("virksomhedslogin.toml");
    let store = TestStore::wanted();
    let store_lines = store.configuration();
    let text = format!(
        "server.listen = \"127.0.0.1:0\"\nserver.management = \"127.0.0.1:0\"\nserver.workers = 2\n\
         server.shutdown_timeout_seconds = 1\n{store_lines}\n\
         token.issuer = \"{ISSUER}\"\ntoken.audience = \"{AUDIENCE}\"\ntoken.jwks = \"file:jwks.json\"\n\
         access.file = \"access.toml\"\naudit.file = \"audit.ndjson\"\n{more}\n"
    );
    std::fs::write(&config, text).unwrap();
    let limits = ClockLimits { earliest: Timestamp::parse(EARLIEST).unwrap(), ..ClockLimits::NONE };
    let clock = Arc::new(ManualClock::new(limits, Timestamp::parse(START).unwrap()));
    let socket = on_socket.then(|| format!("unix:{}", directory.path().join("socket").display()));
    start(directory, &config, socket, store, clock, signer)
}

fn start(
    directory: TempDir,
    config: &Path,
    socket: Option<String>,
    store: TestStore,
    clock: Arc<ManualClock>,
    signer: Arc<Signer>,
) -> TestApp {
    let proxy = Proxy::wanted(directory.path()).filter(|_| socket.is_none());
    let listen = socket.or_else(|| proxy.as_ref().map(Proxy::upstream));
    let listen = listen.map(|listen| ("VIRKSOMHEDSLOGIN__SERVER__LISTEN".into(), listen.into()));
    let settings = settings::load(config, listen.into_iter()).unwrap_or_else(|faults| panic!("{faults}"));
    let (stop, stopped) = oneshot::channel::<()>();
    let (report, reported) = mpsc::channel();
    let shared = Arc::clone(&clock);
    let thread = std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let app = App::build(settings, shared).unwrap_or_else(|error| panic!("{error}"));
            report
                .send((app.address(), app.management_address().unwrap().to_string(), app.reload()))
                .unwrap();
            let stop = async {
                let _ = stopped.await;
            };
            app.run_until_stopped(stop).await.unwrap();
        });
    });
    let (address, management, reload) =
        reported.recv_timeout(Duration::from_secs(20)).expect("the service starts");
    let address = proxy.as_ref().map_or(address, |proxy| proxy.address.clone());
    TestApp {
        address,
        management,
        clock,
        signer,
        directory,
        reload,
        store,
        proxy,
        stop: Some(stop),
        thread: Some(thread),
    }
}

pub(super) fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)
}

impl TestApp {
    /// A caller of this organisation type with all scopes, acting for all citizens.
    pub(super) fn as_org(&self, organisation: OrganisationType) -> Caller<'_> {
        let exp = self.clock.now().millis() / 1_000 + 3_600;
        self.as_claims(json!({
            "iss": ISSUER, "aud": AUDIENCE, "exp": exp, "sub": "tester", "client_id": "client-1",
            "scope": ALL_SCOPES, "organisationType": organisation.name(), "organisationCode": "101",
            "adgang": AccessMode::AlleBorgere.name(),
        }))
    }

    /// A caller with exactly these claims.
    pub(super) fn as_claims(&self, claims: Value) -> Caller<'_> {
        Caller { app: self, claims: Some(claims) }
    }

    /// A caller without a token.
    pub(super) fn as_anonymous(&self) -> Caller<'_> {
        Caller { app: self, claims: None }
    }

    /// The lines of the audit log so far.
    pub(super) fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.directory.path().join("audit.ndjson")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the audit log calls the peer of a caller.
    pub(super) fn remote(&self) -> &'static str {
        if self.proxy.is_some() { "unix" } else { "127.0.0.1" }
    }

    /// Sends these bytes on a connection of their own and returns everything that comes back until it is closed.
    pub(super) fn raw(&self, request: &[u8]) -> String {
        let timeout = Some(Duration::from_secs(5));
        if let Some(path) = self.address.strip_prefix("unix:") {
            let stream = UnixStream::connect(path).unwrap();
            stream.set_read_timeout(timeout).unwrap();
            return exchange(stream, request);
        }
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(timeout).unwrap();
        exchange(stream, request)
    }

    /// A request to the management listener.
    pub(super) fn management(&self, path: &str) -> Answer {
        Answer::of(agent().get(format!("http://{}{path}", self.management)).call().unwrap())
    }

    /// As [`App::management`], with another verb.
    pub(super) fn management_as(&self, verb: &str, path: &str) -> Answer {
        let uri = format!("http://{}{path}", self.management);
        let request = ureq::http::Request::builder().method(verb).uri(uri).body(()).unwrap();
        Answer::of(agent().run(request).unwrap())
    }

    /// Stops the service and starts it again on the same directory and the same store of its logins.
    pub(super) fn restart(mut self) -> Self {
        self.shut_down();
        let directory = std::mem::replace(&mut self.directory, TempDir::new().unwrap());
        let config = directory.path().join("virksomhedslogin.toml");
        let store = std::mem::replace(&mut self.store, TestStore::Embedded);
        start(directory, &config, None, store, Arc::clone(&self.clock), Arc::clone(&self.signer))
    }

    fn shut_down(&mut self) {
        self.proxy = None;
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the service stops cleanly");
        }
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.shut_down();
        }
    }
}

fn exchange(mut stream: impl Read + Write, request: &[u8]) -> String {
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .allow_non_standard_methods(true)
        .build()
        .into()
}

/// Somebody who calls.
#[derive(Clone)]
pub(super) struct Caller<'a> {
    app: &'a TestApp,
    claims: Option<Value>,
}

impl Caller<'_> {
    /// The same caller with this claim instead; `null` takes it out.
    pub(super) fn with(mut self, claim: &str, value: Value) -> Self {
        if let Some(Value::Object(claims)) = self.claims.as_mut() {
            if value.is_null() {
                claims.remove(claim);
            } else {
                claims.insert(claim.to_owned(), value);
            }
        }
        self
    }

    pub(super) fn token(&self) -> Option<String> {
        self.claims.as_ref().map(|_| self.app.signer.sign(&self.claims()).unwrap())
    }

    /// The claims as JSON.
    pub(super) fn claims(&self) -> String {
        self.claims.as_ref().map(Value::to_string).unwrap_or_default()
    }

    /// Calls the method for company 12345678 in the plainest way.
    pub(super) fn call(&self, method: Method) -> Answer {
        match method {
            Method::GetLogin => self.get_login("12345678"),
            Method::SetLogin => self.set_login("12345678"),
            Method::GetLogins => self.get_logins(),
        }
    }

    pub(super) fn get_login(&self, cvr: &str) -> Answer {
        self.send("GET", &format!("/v1/Login?cvrNummer={cvr}"), &[], None)
    }

    pub(super) fn set_login(&self, cvr: &str) -> Answer {
        let body = format!(r#"{{"VirksomhedsLoginDto":{{"cvrNummer":"{cvr}"}}}}"#);
        self.put(&format!("/v1/Login/{cvr}"), &body)
    }

    /// SetLogin of each of these companies, several at a time and with one token.
    pub(super) fn set_logins(&self, numbers: impl Iterator<Item = u32> + Send) {
        let (token, numbers) = (self.token().unwrap(), Mutex::new(numbers));
        let next = || numbers.lock().unwrap().next();
        let write = || {
            let agent = agent();
            while let Some(number) = next() {
                let request = agent.put(format!("http://{}/v1/Login/{number:08}", self.app.address));
                let request = request.header("Authorization", format!("Bearer {token}"));
                let body = format!(r#"{{"VirksomhedsLoginDto":{{"cvrNummer":"{number:08}"}}}}"#);
                assert_eq!(request.content_type("application/json").send(body).unwrap().status(), 204);
            }
        };
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(write))));
    }

    pub(super) fn put(&self, path: &str, body: &str) -> Answer {
        self.send("PUT", path, &[("Content-Type", "application/json")], Some(body.as_bytes()))
    }

    pub(super) fn get_logins(&self) -> Answer {
        self.send("GET", "/v1/Logins", &[], None)
    }

    /// Reads this path with the one header that a read must have, on a connection of its own: the answer as it came.
    pub(super) fn raw_get(&self, path: &str) -> String {
        self.raw_get_with(path, &[])
    }

    /// As [`Self::raw_get`], with these lines in the head.
    pub(super) fn raw_get_with(&self, path: &str, lines: &[&str]) -> String {
        let token =
            self.token().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{token}Connection: close\r\n{lines}\r\n");
        self.app.raw(request.as_bytes())
    }

    pub(super) fn send(
        &self,
        verb: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
    ) -> Answer {
        let uri = format!("http://{}{path}", self.app.address);
        let mut request = ureq::http::Request::builder().method(verb).uri(uri);
        if let Some(token) = self.token() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match body {
            Some(body) => agent().run(request.body(body).unwrap()),
            None => agent().run(request.body(()).unwrap()),
        };
        Answer::of(response.unwrap_or_else(|error| panic!("{verb} {path}: {error}")))
    }
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    headers: ureq::http::HeaderMap,
}

impl Answer {
    fn of(response: ureq::http::Response<ureq::Body>) -> Self {
        let (parts, mut body) = response.into_parts();
        let body = body.read_to_vec().unwrap();
        Self { status: parts.status.as_u16(), body, headers: parts.headers }
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The status and the `fejlkode` of a problem that is shaped as the contract says.
    pub(super) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert_eq!(problem["requestId"], self.header("x-requestid").unwrap(), "{problem}");
        assert!(problem["fejltekst"].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        assert_eq!(problem.get("fejl").is_some(), self.status == 400, "{problem}");
        (self.status, problem["fejlkode"].as_str().unwrap().to_owned())
    }

    /// The fields of a 400's faults.
    pub(super) fn faulty_fields(&self) -> Vec<String> {
        let faults = self.json()["fejl"].as_array().unwrap().clone();
        faults.iter().map(|fault| fault["felt"].as_str().unwrap().to_owned()).collect()
    }
}
