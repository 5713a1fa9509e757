//! Copies of the list that ask for what changed, while logins are recorded, the clock steps, files are imported, companies are
//! erased, and the service is restarted or killed: each equals the list after each poll.

use std::fs;
use std::time::Duration;

use crate::support::history::body;
use crate::support::list_copy::{ListCopy, Statuses};
use crate::support::logins::kill;
use crate::support::preload::shim;
use crate::support::process::{Fixture, Service, agent, binary, put};
use crate::support::run_length::long;

const COMPANIES: u32 = 400;

fn cvr(random: &mut fastrand::Rng) -> String {
    format!("{:08}", random.u32(0..COMPANIES) * 250_000)
}

/// Records logins of random companies, and polls some copies meanwhile.
fn in_a_crowd(service: &Service, random: &mut fastrand::Rng, copies: &mut [ListCopy]) {
    let companies: Vec<_> = (0..random.usize(0..40)).map(|_| cvr(random)).collect();
    let polled: Vec<_> = copies.iter_mut().filter(|_| random.u32(0..3) == 0).collect();
    let (address, token) = (service.address.as_str(), service.token.as_str());
    let log_in = |cvr: &String| assert_eq!(put(&agent(), address, token, cvr, &body(cvr)).unwrap(), 204);
    std::thread::scope(|scope| {
        for part in companies.chunks(10) {
            scope.spawn(move || part.iter().for_each(log_in));
        }
        for copy in polled {
            scope.spawn(move || (0..5).for_each(|_| _ = copy.poll(address, token)));
        }
    });
}

fn import(fixture: &Fixture, random: &mut fastrand::Rng) {
    let mut text = "cvrNummer,tidligsteLoginTidspunkt,senesteLogintidspunkt\n".to_owned();
    for _ in 0..random.u32(1..30) {
        let mut years = [(); 2].map(|()| random.u32(1971..2026));
        years.sort_unstable();
        let [first, last] = years.map(|year| format!("{year}-03-01T00:00:00.000Z"));
        text.push_str(&format!("{},{first},{last}\n", cvr(random)));
    }
    fixture.write("import.csv", &text);
    let file = fixture.path("import.csv");
    let mut command = binary();
    command.args(["import", "--config", &fixture.config(), file.to_str().unwrap()]);
    assert!(command.output().unwrap().status.success());
}

fn stop(service: &mut Service) {
    service.signal("TERM");
    assert_eq!(service.wait(Duration::from_secs(20)).code(), Some(0));
}

#[test]
fn copies_equal_the_list_whatever_happens_between_polls() {
    let rounds = if long() { 600 } else { 80 };
    let fixture = Fixture::new();
    let trigger = fixture.path("trigger");
    let clock = [
        ("LD_PRELOAD", shim().to_str().unwrap()),
        ("POWERCUT_TRIGGER", trigger.to_str().unwrap()),
        ("POWERCUT_CLOCK_SECONDS", "-5000"),
    ];
    let mut random = fastrand::Rng::with_seed(226);
    let mut service = fixture.serve_with(&clock);
    let mut copies: Vec<ListCopy> = vec![ListCopy::default(); 6];
    let mut statuses = Statuses::new();
    for round in 0..rounds {
        match random.u32(0..16) {
            0 => {
                kill(&mut service);
                service = fixture.serve_with(&clock);
            }
            1 => {
                stop(&mut service);
                service = fixture.serve_with(&clock);
            }
            2 => {
                stop(&mut service);
                import(&fixture, &mut random);
                service = fixture.serve_with(&clock);
            }
            3 => {
                stop(&mut service);
                let companies: Vec<_> = (0..random.u32(1..20)).map(|_| cvr(&mut random)).collect();
                let mut command = binary();
                command.args(["erase", "--config", &fixture.config(), "--yes"]).args(&companies);
                assert!(command.output().unwrap().status.success());
                service = fixture.serve_with(&clock);
            }
            4 if trigger.exists() => fs::remove_file(&trigger).unwrap(),
            4 => fs::write(&trigger, "").unwrap(),
            _ => in_a_crowd(&service, &mut random, &mut copies),
        }
        for (age, copy) in copies.iter_mut().enumerate() {
            if random.usize(0..=age * 2) == 0 {
                copy.is_right(&service, &mut statuses, &format!("round {round}, copy {age}"));
            }
        }
    }
    eprintln!("{rounds} rounds, polls by status: {statuses:?}");
    assert!(statuses[&226] > rounds / 4 && statuses[&200] < rounds, "{statuses:?}");
}
