//! A database that is down at the start, goes down later, or hangs: the service says so in time, lives through it with
//! bounded means, and is back by itself.

use std::time::{Duration, Instant};

use crate::suites::postgres::cluster_load::{Answer, ask};
use crate::suites::postgres::instances::{DEADLINE, SHORT_DEADLINE, fixture};
use crate::support::cluster::Cluster;
use crate::support::history::body;

use crate::support::process::{Service, agent};

const BACK_WITHIN: Duration = Duration::from_secs(5);
/// When an answer must be there, at the latest: before a second wait for the database could be over.
const IN_TIME: Duration = DEADLINE.saturating_mul(2);
const CVR: &str = "12345678";
const HAMMERS: usize = 200;

/// The three methods: path and body.
fn methods() -> [(String, Option<String>); 3] {
    [
        (format!("/v1/Login?cvrNummer={CVR}"), None),
        (format!("/v1/Login/{CVR}"), Some(body(CVR))),
        ("/v1/Logins".to_owned(), None),
    ]
}

fn assert_503(name: &str, path: &str, answer: &Answer, took: Duration) {
    assert_eq!(answer.status, 503, "{name}: {path}: {}", answer.text);
    let retry_after = answer.retry_after.as_ref().and_then(|text| text.parse::<u32>().ok());
    assert!(retry_after.is_some(), "{name}: {path}: Retry-After is {:?}", answer.retry_after);
    assert!(took <= IN_TIME, "{name}: {path} took {took:?}");
}

/// Threads and resident KiB of the service.
fn means(service: &Service) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.child.id())).unwrap();
    let value = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    };
    (value("Threads:"), value("VmRSS:"))
}

/// Everything is answered in time, one by one and when 200 ask at once, and it costs neither threads nor memory.
fn assert_unavailable(name: &str, service: &Service, before: (u64, u64)) {
    let management = |path: &str| {
        let began = Instant::now();
        let mut response = agent().get(format!("http://{}{path}", service.management)).call().unwrap();
        assert!(began.elapsed() <= IN_TIME, "{name}: {path} took {:?}", began.elapsed());
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    };
    let (address, token) = (&service.address, &service.token);
    let one = |path: &str, body: Option<&str>| {
        let began = Instant::now();
        let answer = ask(&agent(), address, token, path, body).unwrap();
        assert_503(name, path, &answer, began.elapsed());
        began.elapsed()
    };
    let alone = methods().map(|(path, body)| one(&path, body.as_deref()));
    assert_eq!(management("/livez").0, 200, "{name}");
    let (status, text) = management("/readyz");
    assert!(status == 503 && text.contains("store"), "{name}: {status} {text}");
    assert_eq!(management("/metrics").0, 200, "{name}");
    let (mut threads, mut memory) = (0, 0);
    let together = std::thread::scope(|scope| {
        let requests: Vec<_> = (0..HAMMERS)
            .map(|number| {
                let (path, body) = methods()[number % 3].clone();
                scope.spawn(move || one(&path, body.as_deref()))
            })
            .collect();
        while !requests.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let now = means(service);
            (threads, memory) = (now.0.max(threads), now.1.max(memory));
            std::thread::sleep(Duration::from_millis(5));
        }
        requests.into_iter().map(|request| request.join().unwrap()).max().unwrap()
    });
    eprintln!(
        "{name}: alone {alone:.1?}, {HAMMERS} together {together:.1?}, threads {} -> {threads}, KiB {} -> {memory}",
        before.0, before.1
    );
    assert!(threads <= before.0 + 16, "{name}: {} threads became {threads}", before.0);
    assert!(memory <= before.1 + 48 * 1024, "{name}: {} KiB became {memory}", before.1);
}

/// Ready, and all three methods done, within five seconds.
fn assert_back(name: &str, service: &Service) {
    let began = Instant::now();
    loop {
        let [get, put, list] = methods().map(|(path, body)| {
            ask(&agent(), &service.address, &service.token, &path, body.as_deref()).unwrap()
        });
        let (status, text) = service.management("/readyz");
        if status == 200 && put.status == 204 && list.status == 200 && [200, 404].contains(&get.status) {
            break;
        }
        let statuses = [get, put, list].map(|answer| answer.status);
        assert!(began.elapsed() <= BACK_WITHIN, "{name}: {statuses:?}, {status} {text}\n{}", service.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    eprintln!("{name}: back after {:.1?}", began.elapsed());
    assert!(began.elapsed() <= BACK_WITHIN, "{name}: back after {:?}", began.elapsed());
}

#[test]
fn unavailable_database_is_reported_in_time_and_found_again() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let fixture = fixture(&cluster.url(&cluster.create_database()));
    cluster.stop_fast();
    let mut service = fixture.serve_with(&[SHORT_DEADLINE]);
    let before = means(&service);
    assert_unavailable("down at the start", &service, before);
    cluster.start_again();
    assert_back("come at last", &service);
    let before = means(&service);
    for (name, stop) in [("stopped", Cluster::stop_fast as fn(&Cluster)), ("killed", Cluster::kill_9)] {
        stop(&cluster);
        assert_unavailable(name, &service, before);
        cluster.start_again();
        assert_back(name, &service);
    }
    cluster.pause();
    assert_unavailable("standing still", &service, before);
    cluster.resume();
    assert_back("standing still", &service);
    cluster.pause();
    service.signal("TERM");
    let ended = service.wait(Duration::from_secs(10));
    cluster.resume();
    assert_eq!(ended.code(), Some(0), "the end waits for no database that stands still");
}

#[test]
fn a_database_that_stands_still_at_the_start_holds_up_no_start() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let fixture = fixture(&cluster.url(&cluster.create_database()));
    cluster.pause();
    let service = fixture.serve_with(&[SHORT_DEADLINE]);
    assert_unavailable("still at the start", &service, means(&service));
    cluster.resume();
    assert_back("still at the start", &service);
}

#[test]
fn read_only_server_counts_as_unavailable_until_writable() {
    let Some(primary) = Cluster::start(&["fsync=off"]) else { return };
    let database = primary.create_database();
    let fixture_of_primary = fixture(&primary.url(&database));
    drop(fixture_of_primary.serve());
    let standby = primary.standby("second");
    let fixture = fixture(&standby.url(&database));
    let service = fixture.serve_with(&[SHORT_DEADLINE]);
    assert_unavailable("only a standby", &service, means(&service));
    standby.promote();
    assert_back("only a standby", &service);
}

#[test]
fn removed_tables_are_reported_and_never_recreated() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let fixture = fixture(&cluster.url(&database));
    let service = fixture.serve_with(&[SHORT_DEADLINE]);
    assert_eq!(service.put(CVR).unwrap(), 204);
    cluster.sql(&database, "ALTER TABLE virksomhedslogin_login RENAME TO elsewhere");
    assert_unavailable("one table missing", &service, means(&service));
    cluster.sql(&database, "ALTER TABLE elsewhere RENAME TO virksomhedslogin_login");
    assert_back("one table missing", &service);
    cluster.sql(&database, "CREATE SCHEMA elsewhere");
    for table in ["login", "writer", "schema"] {
        cluster.sql(&database, &format!("ALTER TABLE virksomhedslogin_{table} SET SCHEMA elsewhere"));
    }
    assert_unavailable("all tables missing", &service, means(&service));
    std::thread::sleep(Duration::from_secs(2));
    for table in ["login", "writer", "schema"] {
        cluster.sql(&database, &format!("ALTER TABLE elsewhere.virksomhedslogin_{table} SET SCHEMA public"));
    }
    assert_back("all tables missing", &service);
    assert_eq!(service.get(&format!("/v1/Login?cvrNummer={CVR}")).0, 200);
}
