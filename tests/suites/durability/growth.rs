//! Writes without end over companies that are known: disk and memory stop growing. In the long run only; that the WAL
//! goes round is also a test of the store's own.

use std::time::Duration;

use crate::suites::durability::crowd::{Companies, Crowd};
use crate::suites::durability::restart::metric;
use crate::support::history::History;
use crate::support::process::Fixture;
use crate::support::run_length::long;

/// Clients at once: a batch has about as many logins.
const CLIENTS: usize = 8;
/// So many logins go once round the WAL's 8,192 rows.
const LAP: u64 = 8_192 * CLIENTS as u64;
const COMPANIES: u32 = 5_000;

#[test]
fn disk_and_memory_stop_growing_under_sustained_writes() {
    if !long() {
        return;
    }
    let (fixture, mut history) = (Fixture::new(), History::default());
    let service = fixture.serve();
    let crowd = Crowd::start(&service, &history, CLIENTS, Companies::Among(COMPANIES));
    let grown: Vec<_> = (1..=4)
        .map(|laps| {
            crowd.wait_for(laps * LAP, Duration::from_secs(600));
            let disk = metric(&service, "virksomhedslogin_store_disk_bytes");
            (disk, metric(&service, "process_resident_memory_bytes"))
        })
        .collect();
    crowd.finish(&mut history);
    eprintln!("{COMPANIES} companies, disk and memory after each {LAP} logins: {grown:?}");
    let (half, end) = (grown[1], grown[3]);
    assert!(end.0 <= half.0 * 1.25 + f64::from(1 << 20), "the disk grows: {grown:?}");
    assert!(end.1 <= half.1 * 1.25 + f64::from(8 << 20), "memory grows: {grown:?}");
}
