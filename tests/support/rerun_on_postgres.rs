//! The tests of this binary once more, on PostgreSQL: what holds on one store has to hold on the other. On the database that
//! `VIRKSOMHEDSLOGIN_TEST_STORE` names, where it is set.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::NamedTempFile;

use crate::support::cluster::{Cluster, ROLE, wait_until};
use crate::support::run_length::long;
use crate::support::test_store::{TestStore, VARIABLE};

/// How many of the run's last lines are shown when it fails.
const CLOSING_LINES: usize = 120;
/// How much longer it may take on a database that others run, perhaps on several machines.
const ELSEWHERE: u32 = 10;

/// Runs them on a server of their own with these settings, if there is one on this machine: in the long run all of them,
/// else those whose names begin as one of `few`; and all of them on the server that is named. Left out are the tests of the
/// module `own` (its `module_path!()`), because they know which store they want, and those of `left_out` with the reason.
/// Names are below the module's parent.
pub(crate) fn rerun_on_postgres(
    own: &str,
    left_out: &[(&str, &str)],
    few: &[&str],
    settings: &[&str],
    at_most: Duration,
) {
    if let Ok(server) = std::env::var(VARIABLE) {
        drop(TestStore::database_on(&server));
        return run(own, left_out, &[""], &server, at_most * ELSEWHERE);
    }
    let Some(cluster) = Cluster::start(settings) else { return };
    cluster.sql("postgres", &format!("ALTER ROLE {ROLE} CREATEDB"));
    let starts = if long() { &[""] } else { few };
    run(own, left_out, starts, &cluster.url(&cluster.create_database()), at_most);
}

fn run(own: &str, left_out: &[(&str, &str)], starts: &[&str], server: &str, at_most: Duration) {
    let (_, own) = own.split_once("::").unwrap();
    let (suite, _) = own.rsplit_once("::").unwrap();
    let mut chosen = names();
    for (name, _) in left_out {
        let name = format!("{suite}::{name}");
        assert!(chosen.contains(&name), "{name} is left out, and no test");
        chosen.retain(|chosen| *chosen != name);
    }
    chosen.retain(|name| !name.starts_with(&format!("{own}::")));
    let starts: Vec<_> = starts.iter().map(|start| format!("{suite}::{start}")).collect();
    chosen.retain(|name| starts.iter().any(|start| name.starts_with(start)));
    assert!(!chosen.is_empty(), "no test is chosen");

    let reported = NamedTempFile::new().unwrap();
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.args(["--exact", "--color", "never"]).args(&chosen);
    tests.env(VARIABLE, server).stdin(Stdio::null());
    // Clones, because they share the place in the file that is written next.
    tests.stdout(reported.as_file().try_clone().unwrap()).stderr(reported.as_file().try_clone().unwrap());
    // A group of its own, so that what it started can be ended with it.
    let mut child = tests.process_group(0).spawn().unwrap();
    let mut status = None;
    if !wait_until(at_most, || {
        status = child.try_wait().unwrap();
        status.is_some()
    }) {
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let _ = kill_process_group(group, Signal::KILL);
        child.wait().unwrap();
    }
    let text = std::fs::read_to_string(reported.path()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let closing = lines[lines.len().saturating_sub(CLOSING_LINES)..].join("\n");
    let status = status.unwrap_or_else(|| panic!("on PostgreSQL: not done within {at_most:?}\n{closing}"));
    assert!(status.success(), "on PostgreSQL: {status}\n{closing}");
    let expected = chosen.len();
    assert_eq!(passed(&lines), Some(expected), "on PostgreSQL: {expected} tests should have run\n{closing}");
}

/// The full names of all tests of this binary.
fn names() -> Vec<String> {
    let mut list = Command::new(std::env::current_exe().unwrap());
    let output = list.args(["--list", "--format", "terse"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect()
}

/// How many tests the run says have passed.
fn passed(lines: &[&str]) -> Option<usize> {
    let result = lines.iter().rev().find_map(|line| line.strip_prefix("test result: ok. "))?;
    result.split_once(" passed; 0 failed; 0 ignored;")?.0.parse().ok()
}
