//! What was answered 204 is there: after kill -9, a power cut, a flipped bit, a full or failing disk.
//!
//! The default run is short; `VIRKSOMHEDSLOGIN_LONG=1` makes it the run that `docs/DURABILITY.md` counts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test stops at the first surprise"
)]

mod support {
    pub(crate) mod cluster;
    pub(crate) mod history;
    pub(crate) mod list_copy;
    pub(crate) mod logins;
    pub(crate) mod preload;
    pub(crate) mod process;
    pub(crate) mod programs;
    pub(crate) mod run_length;
    pub(crate) mod test_store;
}

mod suites {
    mod durability {
        mod changes;
        mod checker;
        mod clock;
        mod crash;
        mod crowd;
        mod damage;
        mod faults;
        mod growth;
        mod model;
        mod powercut;
        mod restart;
    }
}
