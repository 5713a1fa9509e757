//! A clock that is more than a minute from the database's own records no login.

use std::fs;

use virksomhedslogin::domain::timestamp::Timestamp;

use crate::fleet::{Fleet, ready};
use crate::history::now;
use crate::postgres::{self, Cluster, Durability};
use crate::process::{Service, agent, put};
use crate::shim::shim;
use crate::site::listed;

/// An instance whose clock is so many seconds off while the file `trigger` in the folder is there.
fn fleet_with_a_clock_off_by(cluster: &Cluster, seconds: i64) -> (Fleet, tempfile::TempDir) {
    let database = cluster.create_database();
    let folder = tempfile::TempDir::new().unwrap();
    let trigger = folder.path().join("trigger");
    let variables = [
        ("LD_PRELOAD", shim().to_str().unwrap()),
        ("POWERCUT_TRIGGER", trigger.to_str().unwrap()),
        ("POWERCUT_CLOCK_SECONDS", &seconds.to_string()),
    ];
    (Fleet::start_with(&cluster.url(&database), 1, &variables), folder)
}

fn scrape(service: &Service) -> String {
    let mut response = agent().get(format!("http://{}/metrics", service.management)).call().unwrap();
    response.body_mut().read_to_string().unwrap()
}

#[test]
fn a_clock_two_minutes_from_the_database_records_nothing() {
    if !postgres::available() {
        return;
    }
    let cluster = Cluster::start(Durability::Quick);
    for seconds in [120, -120, 86_400 * 365 * 36] {
        let (fleet, folder) = fleet_with_a_clock_off_by(&cluster, seconds);
        let service = fleet.running().next().unwrap();
        assert_eq!(service.put("12345678").unwrap(), 204);
        let before = listed(service);

        // The first login after the step is refused already, and no probe came between.
        fs::write(folder.path().join("trigger"), "").unwrap();
        for cvr in ["12345678", "87654321"] {
            assert_eq!(service.put(cvr).unwrap(), 503, "{seconds} s");
        }
        let (status, text) = ready(service);
        assert_eq!(status, 503, "{seconds} s: {text}");
        assert!(text.contains(r#""missing":{"clock":"the clock shows "#), "{text}");
        assert!(text.contains("the database's"), "{text}");
        let metrics = scrape(service);
        assert!(metrics.contains("\nvirksomhedslogin_clock_wrong 1\n"), "{metrics}");
        let counted = r#"virksomhedslogin_store_errors_total{operation="record",kind="wrong_clock"} 2"#;
        assert!(metrics.contains(counted), "{metrics}");
        assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 200, "reads go on");
        assert_eq!(listed(service), before, "{seconds} s");

        fs::remove_file(folder.path().join("trigger")).unwrap();
        assert_eq!(service.put("87654321").unwrap(), 204, "{seconds} s");
        assert_eq!(ready(service).0, 200);
    }
}

#[test]
fn a_clock_half_a_minute_from_the_database_records() {
    if !postgres::available() {
        return;
    }
    let cluster = Cluster::start(Durability::Quick);
    for seconds in [30, -30] {
        let (fleet, folder) = fleet_with_a_clock_off_by(&cluster, seconds);
        let service = fleet.running().next().unwrap();
        fs::write(folder.path().join("trigger"), "").unwrap();
        assert_eq!(service.put("12345678").unwrap(), 204, "{seconds} s");
        assert_eq!(ready(service).0, 200, "{seconds} s");
        let (first, _) = listed(service)[&12_345_678];
        assert!(((seconds - 10) * 1_000..=(seconds + 10) * 1_000).contains(&(first - now())));
    }
}

#[test]
fn logins_in_the_same_moment_as_a_step_are_never_recorded_at_a_wrong_time() {
    if !postgres::available() {
        return;
    }
    let cluster = Cluster::start(Durability::Quick);
    let (fleet, folder) = fleet_with_a_clock_off_by(&cluster, 3_600);
    let service = fleet.running().next().unwrap();
    let trigger = folder.path().join("trigger");
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
            std::thread::sleep(std::time::Duration::from_millis(15));
            fs::remove_file(&trigger).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(15));
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

#[test]
fn a_future_login_on_the_database_is_a_warning_and_no_refusal() {
    if !postgres::available() {
        return;
    }
    let cluster = Cluster::start(Durability::Quick);
    let (fleet, _folder) = fleet_with_a_clock_off_by(&cluster, 0);
    let service = fleet.running().next().unwrap();
    let future = Timestamp::from_millis(now() + 172_800_000).unwrap();
    fleet.site.write(
        "future.ndjson",
        &format!(
            "{{\"cvrNummer\":\"12345678\",\"tidligsteLoginTidspunkt\":\"{future}\",\"senesteLogintidspunkt\":\"{future}\"}}\n"
        ),
    );
    let file = fleet.site.path("future.ndjson").display().to_string();
    crate::fleet::done(crate::fleet::command(&fleet.site, &["import", "--no-trailer", &file]));
    assert_eq!(ready(service).0, 200);
    assert_eq!(service.put("12345678").unwrap(), 204);
    let metrics = scrape(service);
    let behind = metrics
        .lines()
        .find_map(|line| line.strip_prefix("virksomhedslogin_clock_behind_latest_login_seconds "))
        .unwrap_or_else(|| panic!("{metrics}"));
    assert!((172_000.0..=172_800.0).contains(&behind.parse::<f64>().unwrap()), "{behind}");
}
