//! How much is tried: `cargo test` makes a short run, `.ci/run` a long one as well.

/// Whether this is the long run.
pub(crate) fn long() -> bool {
    std::env::var_os("VIRKSOMHEDSLOGIN_LONG").is_some_and(|value| value == "1")
}
