//! Copies of the list that ask any of three instances for what changed: each equals the list after each poll, whatever is
//! in flight on the others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::suites::postgres::instances::{Caller, Instances, command, done};
use crate::support::cluster::Cluster;
use crate::support::list_copy::{ListCopy, Statuses};
use crate::support::process::Service;
use crate::support::run_length::long;

const COMPANIES: u32 = 400;

fn cvr(random: &mut fastrand::Rng) -> String {
    format!("{:08}", random.u32(0..COMPANIES) * 250_000)
}

fn any<'a>(instances: &'a Instances, random: &mut fastrand::Rng) -> &'a Service {
    let running: Vec<_> = instances.running().collect();
    running[random.usize(0..running.len())]
}

/// Logins on all instances at once, some of them held up by a lock, and polls meanwhile.
fn in_a_crowd(
    cluster: &Cluster,
    database: &str,
    instances: &Instances,
    random: &mut fastrand::Rng,
    copies: &mut [ListCopy],
) {
    let over = AtomicBool::new(false);
    let locked = cvr(random);
    std::thread::scope(|scope| {
        let over = &over;
        if random.bool() {
            let number: u32 = locked.parse().unwrap();
            let row = format!("SELECT 1 FROM virksomhedslogin_login WHERE cvr_number = {number} FOR UPDATE");
            scope.spawn(move || {
                let lock = cluster.begin(database, &row);
                std::thread::sleep(Duration::from_millis(200));
                lock.commit();
            });
        }
        let callers: Vec<_> = instances.running().flat_map(|service| [service; 2]).map(Caller::of).collect();
        let writers: Vec<_> = callers
            .into_iter()
            .map(|caller| {
                let mut companies: Vec<_> = (0..15).map(|_| cvr(random)).collect();
                companies.push(locked.clone());
                scope.spawn(move || companies.iter().for_each(|cvr| assert_eq!(caller.put(cvr), 204)))
            })
            .collect();
        for copy in copies {
            let asked =
                [(); 2].map(|()| any(instances, random)).map(|it| (it.address.clone(), it.token.clone()));
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    asked.iter().for_each(|(address, token)| _ = copy.poll(address, token));
                }
            });
        }
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn copies_equal_the_list_whichever_instance_answers() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let rounds = if long() { 150 } else { 15 };
    let database = cluster.create_database();
    let mut instances = Instances::start(&cluster.url(&database), 3);
    let mut random = fastrand::Rng::with_seed(226);
    let mut copies: Vec<ListCopy> = vec![ListCopy::default(); 4];
    let (mut statuses, mut erasures) = (Statuses::new(), 0);
    for round in 0..rounds {
        match random.u32(0..10) {
            0 => {
                let number = random.usize(0..3);
                if random.bool() {
                    instances.kill(number)
                } else {
                    instances.end(number)
                }
                instances.start_again(number);
            }
            1 => {
                let row = format!(
                    "cvrNummer,tidligsteLoginTidspunkt,senesteLogintidspunkt\n{},1999-01-01T00:00:00.000Z,2001-01-01T00:00:00.000Z\n",
                    cvr(&mut random)
                );
                instances.fixture.write("import.csv", &row);
                let file = instances.fixture.path("import.csv");
                done(command(&instances.fixture, &["import", file.to_str().unwrap()]));
            }
            2 => {
                let companies: Vec<_> = (0..random.u32(1..9)).map(|_| cvr(&mut random)).collect();
                let arguments =
                    [vec!["erase", "--yes"], companies.iter().map(String::as_str).collect()].concat();
                let erased = done(command(&instances.fixture, &arguments));
                erasures += u32::from(!erased.contains("erased: 0\n"));
            }
            _ => in_a_crowd(&cluster, &database, &instances, &mut random, &mut copies),
        }
        for (age, copy) in copies.iter_mut().enumerate() {
            if random.usize(0..=age) == 0 {
                copy.is_right(
                    any(&instances, &mut random),
                    &mut statuses,
                    &format!("round {round}, copy {age}"),
                );
            }
        }
    }
    eprintln!("{rounds} rounds, polls by status: {statuses:?}");
    let most = 4 * (1 + erasures);
    assert!(statuses[&200] <= most, "a copy is whole once, and after each erasure: {statuses:?}");
}

#[test]
fn change_in_flight_during_a_poll_is_in_the_next() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let instances = Instances::start(&cluster.url(&database), 2);
    let services: Vec<_> = instances.running().collect();
    services.iter().for_each(|service| assert_eq!(service.put("00000001").unwrap(), 204));
    // What another instance's statement does, and does not commit yet.
    let in_flight = "UPDATE virksomhedslogin_login SET last_login = last_login + INTERVAL '1 hour'; \
                     INSERT INTO virksomhedslogin_writer VALUES ('elsewhere', 1, NULL, now())";
    let (mut copy, mut statuses) = (ListCopy::default(), Statuses::new());
    let in_flight = cluster.begin(&database, in_flight);
    // Later transactions are shown, the earlier one is not.
    assert_eq!(services[0].put("00000002").unwrap(), 204);
    copy.is_right(services[1], &mut statuses, "in flight");
    assert_eq!(services[1].put("00000003").unwrap(), 204);
    copy.is_right(services[0], &mut statuses, "still in flight");
    in_flight.commit();
    copy.is_right(services[0], &mut statuses, "committed");
    assert_eq!(statuses, [(200, 1), (226, 2)].into());
}

#[test]
fn history_of_another_table_or_server_says_nothing() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let instances = Instances::start(&cluster.url(&database), 1);
    let service = instances.running().next().unwrap();
    let (mut copy, mut statuses) = (ListCopy::default(), Statuses::new());
    assert_eq!(service.put("00000001").unwrap(), 204);
    assert_eq!(service.put("00000002").unwrap(), 204);
    copy.is_right(service, &mut statuses, "at first");
    // As a restored dump does: other rows under the same names.
    let replaced = "BEGIN; CREATE TEMPORARY TABLE kept AS SELECT * FROM virksomhedslogin_login WHERE cvr_number = 1; \
                    TRUNCATE virksomhedslogin_login; INSERT INTO virksomhedslogin_login SELECT * FROM kept; \
                    INSERT INTO virksomhedslogin_writer VALUES ('elsewhere', 1, NULL, now()); COMMIT";
    cluster.sql(&database, replaced);
    copy.is_right(service, &mut statuses, "replaced");
    assert_eq!(statuses, [(200, 2)].into());
}

#[test]
fn transactions_of_others_leave_the_tag_as_it_is() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let instances = Instances::start(&cluster.url(&database), 1);
    let service = instances.running().next().unwrap();
    let tag = || {
        let mut copy = ListCopy::default();
        assert_eq!(copy.poll(&service.address, &service.token), Some(200));
        copy.tag
    };
    let running = cluster.begin("postgres", "SELECT pg_current_xact_id()");
    assert_eq!(service.put("00000001").unwrap(), 204);
    let meanwhile = tag();
    running.commit();
    assert_eq!(tag(), meanwhile);
}
