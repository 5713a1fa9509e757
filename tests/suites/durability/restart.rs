//! Starting the service on a store of unknown health, and the files of that store.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use virksomhedslogin::testing::{OpenError, Options, Store};

use crate::support::logins::{Logins, list};
use crate::support::process::{Fixture, Service, binary};

/// How long a start may take, well or ill.
pub(super) const TIMEOUT: Duration = Duration::from_secs(20);

/// The value of a series in a scrape of the running service.
pub(super) fn metric(service: &Service, series: &str) -> f64 {
    let (_, text) = service.management("/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{series} is not in {text}")).parse().unwrap()
}

/// Opens a store in this process.
///
/// Other tests start processes meanwhile, and between fork and exec such a child holds a copy of every lock of ours, also of
/// one that has just been let go. That passes within milliseconds.
pub(super) fn open(path: &Path) -> Store {
    let until = Instant::now() + Duration::from_secs(5);
    loop {
        match Store::open(&Options::new(path, TIMEOUT)) {
            Err(OpenError::InUse { .. }) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Starts the service, reads everything and kills it; or, when it does not serve, its exit code and what happened.
pub(super) fn try_start(fixture: &Fixture) -> Result<Logins, (Option<i32>, String)> {
    let mut command = binary();
    command.args(["serve", "--config", &fixture.config()]).stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let (send, lines) = mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    let (mut log, until) = (String::new(), Instant::now() + TIMEOUT);
    let started = loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some((_, rest)) = line.split_once("listens on ") {
                    let address = rest.split([' ', ',', '"']).next().unwrap();
                    break list(address, &fixture.token()).ok_or((None, "the list broke off".to_owned()));
                }
                log.push_str(&line);
                log.push('\n');
            }
            Err(mpsc::RecvTimeoutError::Timeout) => break Err((None, format!("it hangs:\n{log}"))),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let status = child.wait().unwrap();
                break Err((status.code(), format!("{status}:\n{log}")));
            }
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    started
}

/// As [`try_start`], where it must serve.
pub(super) fn restarted(fixture: &Fixture, when: &str) -> Logins {
    try_start(fixture).unwrap_or_else(|(_, how)| panic!("{when}: {how}"))
}

/// Copies a directory with everything in it.
pub(super) fn copy(from: &Path, to: &Path) {
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
pub(super) fn files(root: &Path) -> Vec<String> {
    fn below(root: &Path, directory: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap() {
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
pub(super) struct Dice(pub u64);

impl Dice {
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit.max(1)
    }
}
