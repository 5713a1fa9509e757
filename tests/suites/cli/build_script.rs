//! `build.rs`, compiled and run by itself: which day it passes to the program.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use tempfile::TempDir;

use crate::suites::cli::program::{stderr, stdout};

/// 2026-11-24T18:50:46Z, and midnight of that day.
const EPOCH_SECONDS: &str = "1795546246";
const DAY: &str = "cargo::rustc-env=VIRKSOMHEDSLOGIN_BUILD_DAY=1795478400";

/// The script, compiled once.
fn script() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    &BUILT
        .get_or_init(|| {
            let directory = TempDir::new().unwrap();
            let script = directory.path().join("build");
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
            let mut rustc = Command::new("rustc");
            rustc.args(["--edition", "2024", "-o"]).args([&script, &source]);
            let output = rustc.output().expect("rustc is there where cargo is");
            assert!(output.status.success(), "{}", stderr(&output));
            (directory, script)
        })
        .1
}

/// What it does for a build of this profile in this directory.
fn build(profile: &str, root: &Path, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(script());
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("PROFILE", profile).env("CARGO_MANIFEST_DIR", root).envs(variables.iter().copied());
    command.output().unwrap()
}

/// The day that it passes.
fn day(profile: &str, root: &Path, variables: &[(&str, &str)]) -> Option<String> {
    let output = build(profile, root, variables);
    assert!(output.status.success(), "{}", stderr(&output));
    let line = stdout(&output).lines().find(|line| line.contains("_BUILD_DAY="));
    line.map(str::to_owned)
}

fn git(directory: &Path, arguments: &[impl AsRef<OsStr>]) -> String {
    let mut command = Command::new("git");
    command
        .current_dir(directory)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.dk"])
        .args(arguments);
    let date = format!("{EPOCH_SECONDS} +0100");
    let output = command.env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    stdout(&output).trim().to_owned()
}

#[test]
fn a_release_build_knows_the_day_of_its_commit() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    assert_eq!(day("release", root, &[]), None, "no repository: the constant");
    assert_eq!(day("release", root, &[("SOURCE_DATE_EPOCH", "")]), None);
    assert_eq!(day("release", root, &[("SOURCE_DATE_EPOCH", EPOCH_SECONDS)]).as_deref(), Some(DAY));

    git(root, &["init", "--quiet"]);
    assert_eq!(day("release", root, &[]), None, "no commit yet");
    git(root, &["commit", "--quiet", "--allow-empty", "-m", "first"]);
    assert_eq!(day("release", root, &[]).as_deref(), Some(DAY));
    let later = [("SOURCE_DATE_EPOCH", "1795600000")];
    let next_day = "cargo::rustc-env=VIRKSOMHEDSLOGIN_BUILD_DAY=1795564800";
    assert_eq!(day("release", root, &later).as_deref(), Some(next_day), "what is said outweighs git");
    let unknown = [("VIRKSOMHEDSLOGIN_COMMIT", "0123456789012345678901234567890123456789")];
    assert_eq!(day("release", root, &unknown), None, "a commit that git does not know has no date");
    let inside = root.join("unpacked");
    std::fs::create_dir(&inside).unwrap();
    assert_eq!(day("release", &inside, &[]), None, "sources unpacked within another repository");
}

#[test]
fn a_debug_build_asks_for_no_day() {
    let directory = TempDir::new().unwrap();
    git(directory.path(), &["init", "--quiet"]);
    git(directory.path(), &["commit", "--quiet", "--allow-empty", "-m", "first"]);
    assert_eq!(day("debug", directory.path(), &[("SOURCE_DATE_EPOCH", EPOCH_SECONDS)]), None);
}

#[test]
fn a_date_that_is_no_number_stops_the_build() {
    let directory = TempDir::new().unwrap();
    for wrong in ["yesterday", "-1", "2026-11-24"] {
        let output = build("release", directory.path(), &[("SOURCE_DATE_EPOCH", wrong)]);
        assert!(!output.status.success(), "{wrong}");
        let reported = stderr(&output);
        assert!(reported.contains(&format!("SOURCE_DATE_EPOCH is \\\"{wrong}")), "{reported}");
    }
}
