//! Starting the service on a store of unknown health, and reading what it has.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use virksomhedslogin::domain::timestamp::Timestamp;
use virksomhedslogin::store::{OpenError, Options, Store};

use crate::process::{Service, Site, agent, binary};

/// CVR number → first and last login in milliseconds.
pub type Logins = BTreeMap<u32, (i64, i64)>;

/// How long a start may take, well or ill.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What came of a start.
#[derive(Debug)]
pub enum Outcome {
    Serves(Logins),
    Exits(i32, String),
    DiesBySignal(i32, String),
    Hangs(String),
}

/// Whether this is the long run.
pub fn long() -> bool {
    std::env::var_os("VIRKSOMHEDSLOGIN_LONG").is_some_and(|value| value == "1")
}

/// Starts `serve` with these variables and waits until it listens.
pub fn serve(site: &Site, variables: &[(&str, &str)]) -> Service {
    let mut command = binary();
    command.args(["serve", "--config", &site.config()]).envs(variables.iter().copied());
    Service::start(command, site.token())
}

/// Everything that the service lists; nothing when the connection breaks.
pub fn list(address: &str, token: &str) -> Option<Logins> {
    let request = agent().get(format!("http://{address}/v1/Logins"));
    let mut response = request.header("Authorization", format!("Bearer {token}")).call().ok()?;
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string().ok()?;
    Some(logins(&text))
}

/// What an answer of GetLogins tells.
pub fn logins(text: &str) -> Logins {
    let body: serde_json::Value = serde_json::from_str(text).unwrap();
    let millis =
        |row: &serde_json::Value, name: &str| Timestamp::parse(row[name].as_str().unwrap()).unwrap().millis();
    let rows = body["virksomheder"].as_array().unwrap_or_else(|| panic!("{text}")).iter();
    rows.map(|row| {
        let cvr = row["cvrNummer"].as_str().unwrap().parse().unwrap();
        (cvr, (millis(row, "tidligsteLoginTidspunkt"), millis(row, "senesteLogintidspunkt")))
    })
    .collect()
}

/// What a running service lists.
pub fn listed(service: &Service) -> Logins {
    list(&service.address, &service.token).unwrap()
}

/// The value of a series in a scrape of the running service.
pub fn metric(service: &Service, series: &str) -> f64 {
    let mut response = agent().get(format!("http://{}/metrics", service.management)).call().unwrap();
    let text = response.body_mut().read_to_string().unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in {text}")).parse().unwrap()
}

/// Opens a store in this process.
///
/// Other tests start processes meanwhile, and between fork and exec such a child holds a copy of every lock of ours, also of
/// one that has just been let go. That passes within milliseconds.
pub fn open(path: &Path) -> Store {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        match Store::open(&Options::new(path, PATIENCE)) {
            Err(OpenError::InUse { .. }) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Kills the process as `kill -9` does.
pub fn kill(service: &mut Service) {
    service.child.kill().unwrap();
    service.child.wait().unwrap();
}

/// Starts the service, reads everything and kills it; or tells how it ended instead.
pub fn try_start(site: &Site) -> Outcome {
    let mut command = binary();
    command.args(["serve", "--config", &site.config()]).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let (send, lines) = mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    let (mut log, until) = (String::new(), Instant::now() + PATIENCE);
    let outcome = loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some((_, rest)) = line.split_once("listens on ") {
                    let address = rest.split([' ', ',', '"']).next().unwrap();
                    break list(address, &site.token())
                        .map_or_else(|| Outcome::Hangs("the list broke off".to_owned()), Outcome::Serves);
                }
                log.push_str(&line);
                log.push('\n');
            }
            Err(mpsc::RecvTimeoutError::Timeout) => break Outcome::Hangs(log),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = child.wait().unwrap();
                break match (status.code(), status.signal()) {
                    (Some(code), _) => Outcome::Exits(code, log),
                    (None, signal) => Outcome::DiesBySignal(signal.unwrap_or(0), log),
                };
            }
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    outcome
}

/// Copies a directory with everything in it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The files of a store, as paths below its directory, in the same order every time.
pub fn files(root: &Path) -> Vec<String> {
    fn below(root: &Path, folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                below(root, &path, found);
            } else {
                found.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    below(root, root, &mut found);
    found.sort();
    found
}

/// Numbers that look random and are the same in every run (xorshift64*).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit.max(1)
    }
}
