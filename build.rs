//! Tells the program which commit it is made from, and of which day that is. Fetches nothing.
//!
//! The commit is the variable `VIRKSOMHEDSLOGIN_COMMIT` (for builds without a repository: a source archive, a container),
//! else, in a release build, what `.git` says is checked out, else `unknown`. A debug build does not look there: every
//! commit would make the next `cargo test` build everything anew. It stands for what was committed: changes that were not
//! are not seen. The same sources at the same commit give the same bytes, wherever the folder is.
//!
//! The day is, in a release build, that of the moment in `SOURCE_DATE_EPOCH` (seconds since 1970, as all tools of
//! reproducible builds read it), else of the commit above, which git is asked for once. Without either, and in a debug build,
//! it is that of a constant in `domain::clock`. A service whose clock shows an earlier day records no logins.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const VARIABLE: &str = "VIRKSOMHEDSLOGIN_COMMIT";
const DATE: &str = "SOURCE_DATE_EPOCH";
const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let given = env::var(VARIABLE).ok().filter(|commit| is_commit(commit));
    let root = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = given
        .or_else(|| if release { checked_out(&root) } else { None })
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=VIRKSOMHEDSLOGIN_BUILD_COMMIT={commit}");
    if release {
        println!("cargo::rerun-if-env-changed={DATE}");
        if let Some(seconds) = given_date()?.or_else(|| commit_date(&root, &commit)) {
            println!("cargo::rustc-env=VIRKSOMHEDSLOGIN_BUILD_DAY={}", seconds - seconds % SECONDS_PER_DAY);
        }
    }

    let mut features: Vec<String> = env::vars()
        .filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase().replace('_', "-")))
        .filter(|name| name != "default")
        .collect();
    features.sort();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    println!("cargo::rustc-env=VIRKSOMHEDSLOGIN_BUILD_FEATURES={features}");
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

/// The moment in `SOURCE_DATE_EPOCH`; an empty one says nothing.
fn given_date() -> Result<Option<u64>, String> {
    let Some(text) = env::var_os(DATE).filter(|text| !text.is_empty()) else { return Ok(None) };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.map(Some).ok_or_else(|| format!("{DATE} is {text:?} and not a number of seconds since 1970"))
}

/// When a commit of this repository was made. A repository that only surrounds the sources is not asked.
fn commit_date(root: &Path, commit: &str) -> Option<u64> {
    if !root.join(".git").exists() || !is_commit(commit) {
        return None;
    }
    let git = Command::new("git")
        .current_dir(root)
        .args(["log", "-1", "--no-show-signature", "--format=%ct", commit])
        .output();
    String::from_utf8(git.ok()?.stdout).ok()?.trim().parse().ok()
}

/// A hash of git: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What HEAD points to, read as gitrepository-layout(5) describes it.
fn checked_out(root: &Path) -> Option<String> {
    let dot_git = root.join(".git");
    let folder = if dot_git.is_file() {
        // A worktree's file that names its folder.
        root.join(fs::read_to_string(&dot_git).ok()?.trim().strip_prefix("gitdir: ")?)
    } else {
        dot_git
    };
    let shared = match fs::read_to_string(folder.join("commondir")) {
        Ok(path) => folder.join(path.trim()),
        Err(_) => folder.clone(),
    };
    // Grows with every commit, also while the branch's own file does not exist yet.
    let _ = read(&folder.join("logs/HEAD"));
    let head = read(&folder.join("HEAD"))?;
    let Some(name) = head.trim().strip_prefix("ref: ") else {
        return Some(head.trim().to_owned()).filter(|commit| is_commit(commit));
    };
    let loose = read(&shared.join(name)).map(|commit| commit.trim().to_owned());
    let packed = || {
        let list = read(&shared.join("packed-refs"))?;
        list.lines().find_map(|line| {
            line.split_once(' ').filter(|(_, packed)| *packed == name).map(|(commit, _)| commit.to_owned())
        })
    };
    loose.or_else(packed).filter(|commit| is_commit(commit))
}

/// The file's text; the build is run again when it changes.
fn read(file: &Path) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    println!("cargo::rerun-if-changed={}", file.display());
    Some(text)
}
