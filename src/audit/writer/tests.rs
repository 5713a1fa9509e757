use std::fs;
use std::future::Future as _;
use std::task::{Context, Waker};

use futures_util::future::join_all;

use super::*;

#[actix_rt::test]
async fn calls_ready_together_share_a_write_and_each_has_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let writer = AuditWriter::new(Arc::new(AuditLog::to_file(&path).unwrap()));
    for turn in 0..3 {
        let lines: Vec<_> = (0..10).map(|call| format!("{turn}{call}\n")).collect();
        assert!(
            join_all(lines.iter().map(|line| writer.write(line.as_bytes()))).await.iter().all(Result::is_ok)
        );
        let written = fs::read_to_string(&path).unwrap();
        assert!(written.ends_with(&lines.concat()), "{written}");
    }
}

#[actix_rt::test]
async fn a_call_that_is_given_up_leaves_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let writer = AuditWriter::new(Arc::new(AuditLog::to_file(&path).unwrap()));
    let mut call = Box::pin(writer.write(b"given up\n"));
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(call);
    writer.write(b"next\n").await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "given up\nnext\n");
}

#[test]
fn a_worker_that_ends_within_a_turn_leaves_its_lines() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let log = Arc::new(AuditLog::to_file(&path).unwrap());
    let worker = actix_rt::Runtime::new().unwrap();
    worker.block_on(async {
        let writer = AuditWriter::new(log);
        let mut calls = [Box::pin(writer.write(b"one\n")), Box::pin(writer.write(b"two\n"))];
        for call in &mut calls {
            assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "", "the turn is not over");
    });
    drop(worker);
    assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
}

#[actix_rt::test]
async fn only_calls_whose_line_is_not_out_have_an_error() {
    let writer = AuditWriter::new(Arc::new(AuditLog::to_file("/dev/full".as_ref()).unwrap()));
    let results = join_all([writer.write(b"one\n"), writer.write(b"two\n")]).await;
    assert!(results.iter().all(Result::is_err));
    let turn = writer.turn();
    turn.outcome.set((4, Some(Rc::new(io::ErrorKind::StorageFull.into())))).unwrap();
    assert_eq!([4, 8].map(|end| turn.result(end).is_ok()), [true, false]);
}
