//! The contract on PostgreSQL: the tests of this binary, and what the store itself promises there.

use std::time::Duration;

use crate::support::rerun_on_postgres::rerun_on_postgres;

mod fault_injection;
mod stores;

/// What holds on the embedded store alone, and why.
const LEFT_OUT: &[(&str, &str)] = &[];

/// What `cargo test` runs of them; the long run leaves out nothing more.
const FEW: &[&str] = &["conditional::", "methods::"];

/// Many times what it takes: only a test that hangs takes longer.
const TIMEOUT: Duration = Duration::from_secs(1_500);

#[test]
fn contract_holds_on_postgresql() {
    rerun_on_postgres(module_path!(), LEFT_OUT, FEW, &["fsync=off"], TIMEOUT);
}
