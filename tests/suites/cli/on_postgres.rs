//! The commands on PostgreSQL: the tests of this binary.

use std::time::Duration;

use crate::support::rerun_on_postgres::rerun_on_postgres;

/// What holds on the embedded store alone, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("absent_store::absent_store_is_made_by_no_command_without_create", FILES),
    ("absent_store::dangling_link_is_refused_before_anything_is_made", FILES),
    ("absent_store::link_to_a_directory_that_is_there_is_followed", FILES),
    ("absent_store::new_store_beside_signs_of_an_earlier_one_is_a_warning", FILES),
    ("absent_store::store_made_once_is_served_without_create", FILES),
    ("check_machine::absent_store_is_named_where_it_could_not_be_made_either", FILES),
    ("check_machine::directory_of_another_user_is_refused_before_anything_is_made", FILES),
    ("check::a_newer_store_is_refused_by_every_command_and_left_as_it_is", FILES),
    ("check::foreign_or_damaged_store_is_predicted_with_exit_code_3", FILES),
    ("check::errors_are_reported_together_and_configuration_sets_the_code", FILES),
    ("check_machine::full_or_read_only_disk_is_predicted", FILES),
    ("check_machine::files_of_another_user_are_predicted", FILES),
    ("check_machine::missing_permissions_are_predicted", FILES),
    ("check_machine::what_a_start_repairs_itself_is_no_error", FILES),
    ("erase::store_in_use_is_left_alone", LOCK),
    ("file_size_limit::import_under_the_limit_fails_and_can_be_repeated", FILES),
    ("file_size_limit::start_under_the_limit_is_refused_and_is_no_damage", FILES),
    ("file_size_limit::store_at_the_limit_refuses_writes_and_reads_go_on", FILES),
    ("records::damage_is_reported_with_exit_code_3", FILES),
    ("records::a_store_in_use_is_exported_by_asking_the_service", LOCK),
    ("serve::second_process_on_the_same_store_fails_within_two_seconds", LOCK),
    ("service_end::a_reload_that_gets_no_thread_is_refused_and_the_next_works", FILES),
    ("service_end::a_store_writer_that_dies_ends_the_service_with_code_1", THREADS),
    ("service_end::too_few_threads_for_the_workers_are_a_failed_start", FILES),
    ("stop_early::a_reload_while_the_store_is_being_opened_is_kept", FILES),
    ("stop_early::a_stop_while_the_store_is_being_opened_exits_0", FILES),
    ("stop_early::process_1_takes_the_signals_while_the_store_is_being_opened", FILES),
    ("wrong_times::wrong_time_is_corrected_as_documented", FILES),
];
const FILES: &str = "does something to the files of the embedded store";
const THREADS: &str = "makes a thread of the embedded store fail";
const LOCK: &str = "a database is there for several processes at once";

/// What `cargo test` runs of them; the long run leaves out nothing more.
const FEW: &[&str] = &["export_ends::", "serve::"];

/// Many times what it takes: only a test that hangs takes longer.
const TIMEOUT: Duration = Duration::from_secs(1_500);

#[test]
fn commands_do_the_same_on_postgresql() {
    // A server that does not sync is warned of, and these tests read every line.
    rerun_on_postgres(module_path!(), LEFT_OUT, FEW, &[], TIMEOUT);
}
