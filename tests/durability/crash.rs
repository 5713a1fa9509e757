//! kill -9 at any moment under eight writers.

use std::time::Duration;

use crate::history::{History, Load};
use crate::process::Site;
use crate::site::{Dice, kill, listed, long, serve};

#[test]
fn no_round_of_kill_9_loses_or_invents_a_login() {
    let rounds = if long() { 120 } else { 10 };
    let (site, mut history, mut dice) = (Site::new(), History::default(), Dice(11));
    for round in 0..rounds {
        let mut service = serve(&site, &[]);
        history.assert(&listed(&service), &format!("round {round}"));
        let load = Load::start(&service, &history);
        assert!(load.wait_for(20, Duration::from_secs(20)), "the writers write in round {round}");
        std::thread::sleep(Duration::from_millis(dice.below(250)));
        kill(&mut service);
        load.finish(&mut history);
    }
    history.assert(&listed(&serve(&site, &[])), "at the end");
    eprintln!("kill -9: {rounds} rounds, {} writes acknowledged, none lost", history.acknowledged);
}
