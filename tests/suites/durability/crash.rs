//! kill -9 at any time under eight writers.

use std::time::Duration;

use crate::suites::durability::restart::Dice;
use crate::support::history::{History, Load};
use crate::support::logins::{kill, listed};
use crate::support::process::Fixture;
use crate::support::run_length::long;

#[test]
fn no_round_of_kill_9_loses_or_invents_a_login() {
    let rounds = if long() { 120 } else { 10 };
    let (fixture, mut history, mut dice) = (Fixture::new(), History::default(), Dice(11));
    for round in 0..rounds {
        let mut service = fixture.serve();
        history.assert(&listed(&service), &format!("round {round}"));
        let load = Load::start(&service, &history);
        assert!(load.wait_for(20, Duration::from_secs(20)), "the writers write in round {round}");
        std::thread::sleep(Duration::from_millis(dice.below(250)));
        kill(&mut service);
        load.finish(&mut history);
    }
    history.assert(&listed(&fixture.serve()), "at the end");
    eprintln!("kill -9: {rounds} rounds, {} writes acknowledged, none lost", history.acknowledged);
}
