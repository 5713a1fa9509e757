//! A database whose last handle is still being let go of.

use super::*;

#[test]
fn a_database_that_is_still_being_let_go_of_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let records = filled(dir.path(), 10);
    let held = fs::File::open(dir.path().join("sled-v2/db")).unwrap();
    held.lock().unwrap();
    let holder = thread::spawn(move || {
        thread::sleep(Duration::from_millis(300));
        drop(held);
    });
    assert_eq!(contents(&open(dir.path()).unwrap()), records);
    holder.join().unwrap();
}
