//! The checker of histories sees each kind of loss.

use crate::support::history::{Call, History};

fn history(calls: &[(u32, i64, i64, Option<u16>)]) -> History {
    let mut history = History::default();
    for &(cvr, began, ended, status) in calls {
        history.add(Call { cvr, began, ended, status });
    }
    history
}

#[test]
fn the_checker_finds_lost_invented_and_falling_logins() {
    let calls = [(1, 10, 20, Some(204)), (1, 30, 40, Some(204)), (2, 10, 20, None), (3, 5, 6, Some(507))];
    let check = |found: &[(u32, (i64, i64))]| history(&calls).check(&found.iter().copied().collect());
    assert!(check(&[(1, (15, 35))]).is_ok());
    assert!(check(&[(1, (15, 35)), (2, (10, 20)), (3, (5, 6))]).is_ok(), "the unanswered may be there");
    assert!(check(&[]).is_err(), "lost");
    assert!(check(&[(1, (15, 15))]).is_err(), "the second one lost");
    assert!(check(&[(1, (35, 35))]).is_err(), "the first one lost");
    assert!(check(&[(1, (15, 35)), (4, (5, 5))]).is_err(), "invented");
    assert!(check(&[(1, (9, 35))]).is_err(), "too early");
    let mut history = history(&calls);
    assert!(history.check(&[(1, (15, 40)), (2, (10, 10))].into()).is_ok());
    assert!(history.check(&[(1, (15, 39)), (2, (10, 10))].into()).is_err(), "the last one fell");
    assert!(history.check(&[(1, (15, 40))].into()).is_err(), "an unacknowledged one that had been read");
}
