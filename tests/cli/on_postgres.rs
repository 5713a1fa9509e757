//! The commands on PostgreSQL: the tests of this binary.

use std::time::Duration;

use crate::again::run_on_postgres;
use crate::postgres::Durability;

/// What holds on the embedded store alone, and why.
const LEFT_OUT: [(&str, &str); 11] = [
    ("check::a_newer_store_is_refused_by_every_command_and_left_as_it_is", FILES),
    ("check::a_store_that_is_not_ours_or_damaged_is_foretold_with_exit_code_3", FILES),
    ("check::faults_of_every_kind_are_told_together_and_configuration_decides_the_code", FILES),
    ("check_machine::a_disk_that_is_full_or_read_only_is_foretold", FILES),
    ("check_machine::files_of_another_user_are_foretold", FILES),
    ("check_machine::permissions_that_are_missing_are_foretold", FILES),
    ("check_machine::what_a_start_mends_by_itself_is_no_fault", FILES),
    ("records::damage_is_told_with_exit_code_3", FILES),
    ("records::a_store_in_use_is_exported_by_asking_the_service", LOCK),
    ("serve::a_second_process_on_the_same_store_is_told_within_two_seconds", LOCK),
    ("wrong_moments::a_wrong_moment_is_corrected_as_the_manual_tells", FILES),
];
const FILES: &str = "does something to the files of the embedded store";
const LOCK: &str = "a database is there for several processes at once";

/// A multiple of what it takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

#[test]
fn the_commands_do_the_same_on_postgresql() {
    // A server that does not sync is warned of, and these tests read every line.
    run_on_postgres("on_postgres", &LEFT_OUT, Durability::Real, PATIENCE);
}
