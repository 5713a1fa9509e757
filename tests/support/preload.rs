//! `powercut.c`, compiled: what is preloaded into the service under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

/// The shim, compiled once.
pub(crate) fn shim() -> &'static Path {
    static BUILT: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    &BUILT
        .get_or_init(|| {
            let directory = TempDir::new().unwrap();
            let library = directory.path().join("powercut.so");
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/powercut.c");
            let cc = Command::new("cc")
                .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
                .args([&library, &source])
                .args(["-ldl", "-lpthread"])
                .output()
                .expect("these tests need a C compiler named cc");
            assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
            (directory, library)
        })
        .1
}
