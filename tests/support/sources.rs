//! Finds the Rust files of a directory, for the tests that read the source.

use std::fs;
use std::path::{Path, PathBuf};

/// Adds every Rust file below this directory.
pub(crate) fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
