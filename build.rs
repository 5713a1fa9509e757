//! Passes the commit and, in a release build, its day to the program. Fetches nothing.
//!
//! Commit: `VIRKSOMHEDSLOGIN_COMMIT` (builds without a repository: a source archive, a container), else in a release build
//! `HEAD`, else `unknown`. A debug build does not ask git, because every commit would then rebuild the crate. Changes that
//! are not committed are not seen.
//!
//! Day: of `SOURCE_DATE_EPOCH` (seconds since 1970, <https://reproducible-builds.org/specs/source-date-epoch/>), else of the
//! commit, else the constant in `domain::clock`. A service whose clock shows an earlier day records no logins.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const COMMIT: &str = "VIRKSOMHEDSLOGIN_COMMIT";
const DATE: &str = "SOURCE_DATE_EPOCH";
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={COMMIT}");
    println!("cargo::rerun-if-env-changed={DATE}");
    let root = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let git = |arguments: &[&str]| if release { git(&root, arguments) } else { None };

    let given = env::var(COMMIT).ok().filter(|commit| is_commit(commit));
    let commit = given.or_else(|| git(&["rev-parse", "HEAD"]));
    println!("cargo::rustc-env=VIRKSOMHEDSLOGIN_BUILD_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
    // Grows with every commit and checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }

    let committed =
        || git(&["log", "-1", "--no-show-signature", "--format=%ct", commit.as_deref()?])?.parse().ok();
    if release && let Some(seconds) = given_date()?.or_else(committed) {
        println!("cargo::rustc-env=VIRKSOMHEDSLOGIN_BUILD_DAY={}", seconds - seconds % SECONDS_PER_DAY);
    }
    Ok(())
}

/// The time in `SOURCE_DATE_EPOCH`; an empty variable counts as absent.
fn given_date() -> Result<Option<u64>, String> {
    let Some(text) = env::var_os(DATE).filter(|text| !text.is_empty()) else { return Ok(None) };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.map(Some).ok_or_else(|| format!("{DATE} is {text:?} and not a number of seconds since 1970"))
}

/// A hash of git: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The answer of git, if this is a repository of its own: one that only surrounds the sources is not asked.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    if !root.join(".git").exists() {
        return None;
    }
    let output = Command::new("git").current_dir(root).args(arguments).output().ok()?;
    if !output.status.success() {
        return None;
    }
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
