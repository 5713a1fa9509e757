//! The contract on PostgreSQL: the tests of this binary, and what the store itself promises there.

use std::time::Duration;

use crate::again::run_on_postgres;
use crate::postgres::Durability;

mod disturbed;
mod stores;

/// What holds on the embedded store alone, and why.
const LEFT_OUT: &[(&str, &str)] = &[];

/// A multiple of what it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(400);

#[test]
fn the_contract_holds_on_postgresql_too() {
    run_on_postgres("on_postgres", LEFT_OUT, Durability::Quick, PATIENCE);
}
