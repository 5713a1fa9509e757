//! Tells the program which commit it is made from. Runs no program and fetches nothing.
//!
//! The commit is the variable `VIRKSOMHEDSLOGIN_COMMIT` (for builds without a repository: a source archive, a container),
//! else, in a release build, what `.git` says is checked out, else `unknown`. A debug build does not look there: every
//! commit would make the next `cargo test` build everything anew. It stands for what was committed: changes that were not
//! are not seen. The same sources at the same commit give the same bytes, wherever the folder is.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

const VARIABLE: &str = "VIRKSOMHEDSLOGIN_COMMIT";

fn main() {
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let given = env::var(VARIABLE).ok().filter(|commit| is_commit(commit));
    let root = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = given
        .or_else(|| if release { checked_out(&root) } else { None })
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=VIRKSOMHEDSLOGIN_BUILD_COMMIT={commit}");

    let mut features: Vec<String> = env::vars()
        .filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase().replace('_', "-")))
        .filter(|name| name != "default")
        .collect();
    features.sort();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    println!("cargo::rustc-env=VIRKSOMHEDSLOGIN_BUILD_FEATURES={features}");
    println!("cargo::rerun-if-changed=build.rs");
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
