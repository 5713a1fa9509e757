//! Running the program to its end, what it printed, and what its service logs.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::support::process::{Service, binary};

pub(super) fn run(arguments: &[&str]) -> Output {
    binary().args(arguments).output().unwrap()
}

pub(super) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub(super) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

impl Service {
    /// Reads the log until it has this word.
    pub(crate) fn wait_for_log(&self, word: &str) {
        let until = Instant::now() + Duration::from_secs(30);
        while !self.log().contains(word) {
            assert!(Instant::now() < until, "the log never has {word:?}:\n{}", self.log());
        }
    }
}

/// A shell command line as a user would paste it.
pub(super) fn shell(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}\n{}", stderr(&output));
    stdout(&output).to_owned()
}

pub(super) fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
