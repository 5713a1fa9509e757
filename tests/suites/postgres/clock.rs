//! A clock that is more than a minute from the database's own records no login.

use std::fs;
use std::time::Duration;

use virksomhedslogin::testing::Timestamp;

use crate::suites::postgres::instances::{Instances, SHORT_DEADLINE, command, done};
use crate::support::cluster::Cluster;
use crate::support::history::now;
use crate::support::logins::listed;
use crate::support::preload::shim;
use crate::support::process::{Service, agent, put};

/// An instance whose clock is so many seconds off while the file `trigger` in the directory is there.
fn instances_with_a_clock_off_by(cluster: &Cluster, seconds: i64) -> (Instances, tempfile::TempDir) {
    let database = cluster.create_database();
    let directory = tempfile::TempDir::new().unwrap();
    let trigger = directory.path().join("trigger");
    let variables = [
        SHORT_DEADLINE,
        ("LD_PRELOAD", shim().to_str().unwrap()),
        ("POWERCUT_TRIGGER", trigger.to_str().unwrap()),
        ("POWERCUT_CLOCK_SECONDS", &seconds.to_string()),
    ];
    (Instances::start_with(&cluster.url(&database), 1, &variables), directory)
}

fn scrape(service: &Service) -> String {
    let mut response = agent().get(format!("http://{}/metrics", service.management)).call().unwrap();
    response.body_mut().read_to_string().unwrap()
}

#[test]
fn a_clock_two_minutes_from_the_database_records_nothing() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    for seconds in [120, -120, 86_400 * 365 * 36] {
        let (instances, directory) = instances_with_a_clock_off_by(&cluster, seconds);
        let service = instances.running().next().unwrap();
        assert_eq!(service.put("12345678").unwrap(), 204);
        let before = listed(service);

        // The first login after the step is refused already, and no probe came between.
        fs::write(directory.path().join("trigger"), "").unwrap();
        for cvr in ["12345678", "87654321"] {
            assert_eq!(service.put(cvr).unwrap(), 503, "{seconds} s");
        }
        let (status, text) = service.management("/readyz");
        assert_eq!(status, 503, "{seconds} s: {text}");
        assert!(text.contains(r#""missing":{"clock":"the clock shows "#), "{text}");
        assert!(text.contains("the database's"), "{text}");
        let metrics = scrape(service);
        assert!(metrics.contains("\nvirksomhedslogin_clock_wrong 1\n"), "{metrics}");
        let counted = r#"virksomhedslogin_store_errors_total{operation="record",kind="wrong_clock"} 2"#;
        assert!(metrics.contains(counted), "{metrics}");
        assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 200, "reads go on");
        assert_eq!(listed(service), before, "{seconds} s");

        fs::remove_file(directory.path().join("trigger")).unwrap();
        assert_eq!(service.put("87654321").unwrap(), 204, "{seconds} s");
        assert_eq!(service.management("/readyz").0, 200);
    }
}

#[test]
fn unavailable_database_says_nothing_about_the_clock() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let (instances, directory) = instances_with_a_clock_off_by(&cluster, 120);
    let service = instances.running().next().unwrap();
    fs::write(directory.path().join("trigger"), "").unwrap();
    assert!(service.management("/readyz").1.contains(r#""missing":{"clock":"#));

    cluster.stop_immediate();
    let (status, text) = service.management("/readyz");
    assert_eq!(status, 503);
    assert!(text.contains(r#""missing":{"store":"#) && !text.contains("clock"), "{text}");
    assert!(scrape(service).contains("\nvirksomhedslogin_clock_wrong 1\n"), "what was known is kept");
    fs::remove_file(directory.path().join("trigger")).unwrap();
    cluster.start_again();
    instances.until_ready(Duration::from_secs(15));
    assert_eq!(service.put("12345678").unwrap(), 204);
    assert!(scrape(service).contains("\nvirksomhedslogin_clock_wrong 0\n"));
    let log = service.log();
    assert_eq!(log.matches("logins are refused: the clock").count(), 1, "{log}");
    assert_eq!(log.matches("the clock is right again").count(), 1, "{log}");
}

#[test]
fn a_clock_half_a_minute_from_the_database_records() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    for seconds in [30, -30] {
        let (instances, directory) = instances_with_a_clock_off_by(&cluster, seconds);
        let service = instances.running().next().unwrap();
        fs::write(directory.path().join("trigger"), "").unwrap();
        assert_eq!(service.put("12345678").unwrap(), 204, "{seconds} s");
        assert_eq!(service.management("/readyz").0, 200, "{seconds} s");
        let (first, _) = listed(service)[&12_345_678];
        assert!(((seconds - 10) * 1_000..=(seconds + 10) * 1_000).contains(&(first - now())));
    }
}

#[test]
fn logins_during_a_clock_step_get_no_wrong_time() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let (instances, directory) = instances_with_a_clock_off_by(&cluster, 3_600);
    let service = instances.running().next().unwrap();
    let trigger = directory.path().join("trigger");
    let (address, token) = (&service.address, &service.token);
    let login = |cvr: u32| {
        let body = format!(r#"{{"VirksomhedsLoginDto":{{"cvrNummer":"{cvr:08}"}}}}"#);
        put(&agent(), address, token, &format!("{cvr:08}"), &body).unwrap()
    };
    let answers: Vec<u16> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|writer| scope.spawn(move || (0..60).map(|n| login(writer * 100 + n)).collect::<Vec<_>>()))
            .collect();
        for _ in 0..10 {
            fs::write(&trigger, "").unwrap();
            std::thread::sleep(Duration::from_millis(15));
            fs::remove_file(&trigger).unwrap();
            std::thread::sleep(Duration::from_millis(15));
        }
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    assert!(answers.contains(&503) && answers.contains(&204), "{answers:?}");
    assert!(answers.iter().all(|status| [204, 503].contains(status)), "{answers:?}");
    let limit = now() + 60_000;
    let recorded = listed(service);
    assert_eq!(recorded.len(), answers.iter().filter(|status| **status == 204).count());
    assert!(recorded.values().all(|(_, last)| *last < limit), "{recorded:?}");
}

/// Seconds that an instance says its clock is behind the latest login.
fn seconds_behind(service: &Service) -> f64 {
    let metrics = scrape(service);
    let name = "virksomhedslogin_clock_behind_latest_login_seconds ";
    let found = metrics.lines().find_map(|line| line.strip_prefix(name));
    found.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

/// What a read is answered: status, tag, body. With a tag, whether it still holds.
fn read(service: &Service, path: &str, tag: Option<&str>) -> (u16, String, String) {
    let mut request = agent().get(format!("http://{}{path}", service.address));
    request = request.header("Authorization", format!("Bearer {}", service.token));
    if let Some(tag) = tag {
        request = request.header("If-None-Match", tag);
    }
    let mut response = request.call().unwrap();
    let tag = response.headers()["etag"].to_str().unwrap().to_owned();
    (response.status().as_u16(), tag, response.body_mut().read_to_string().unwrap())
}

/// The statements of the manual that correct a wrong time.
fn correction() -> &'static str {
    let manual = include_str!("../../../docs/OPERATIONS.md");
    let (_, section) = manual.split_once("\n## Correcting a wrong time\n").unwrap();
    section.split_once("```sql\n").unwrap().1.split_once("```").unwrap().0
}

#[test]
fn future_login_is_warned_of_and_corrected_as_documented() {
    const FIRST: &str = "2026-11-23T08:00:00.000Z";
    const RIGHT: &str = "2026-11-23T08:15:30.123Z";
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let instances = Instances::start(&cluster.url(&database), 2);
    let service = instances.running().next().unwrap();
    let row = |cvr: u32, last: &str| {
        let names = ["cvrNummer", "tidligsteLoginTidspunkt", "senesteLogintidspunkt"];
        format!(r#"{{"{}":"{cvr:08}","{}":"{FIRST}","{}":"{last}"}}"#, names[0], names[1], names[2])
    };
    let far = Timestamp::from_millis(now() + 172_800_000).unwrap().to_string();
    instances
        .fixture
        .write("rows.ndjson", &format!("{}\n{}\n", row(11_111_111, RIGHT), row(12_345_678, &far)));
    let file = instances.fixture.path("rows.ndjson").display().to_string();
    done(command(&instances.fixture, &["import", "--no-trailer", &file]));

    assert_eq!(service.management("/readyz").0, 200, "one wrong record stops no service");
    assert_eq!(service.put("11111111").unwrap(), 204);
    assert!((172_000.0..=172_800.0).contains(&seconds_behind(service)));
    let paths = ["/v1/Logins", "/v1/Login?cvrNummer=12345678"];
    let tags = paths.map(|path| read(service, path, None).1);

    cluster.sql(&database, correction());
    for service in instances.running() {
        for (path, tag) in paths.iter().zip(&tags) {
            let (status, new_tag, body) = read(service, path, Some(tag));
            assert_eq!(status, 200, "{path}: the tag of before holds no longer");
            assert!(body.contains(&row(12_345_678, RIGHT)), "{path}: {body}");
            assert_eq!(read(service, path, Some(&new_tag)).0, 304);
        }
        assert_eq!(service.management("/readyz").0, 200);
        assert_eq!(seconds_behind(service), 0.0);
    }
    assert_eq!(service.put("12345678").unwrap(), 204);
    let (_, last) = listed(service)[&12_345_678];
    assert!((now() - 10_000..=now()).contains(&last), "the login of now is the latest");
    let log = service.log();
    assert_eq!(log.matches("more than a day behind the latest login").count(), 1, "{log}");
}
