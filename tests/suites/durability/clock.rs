//! A clock that is plainly wrong records no login.

use std::fs;

use virksomhedslogin::testing::Timestamp;

use crate::suites::durability::powercut::Forgetful;
use crate::support::history::now;
use crate::support::logins::listed;
use crate::support::process::{Service, agent};

fn management(service: &Service, path: &str) -> (u16, String) {
    let mut response = agent().get(format!("http://{}{path}", service.management)).call().unwrap();
    (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
}

/// The seconds from now to this time.
fn seconds_to(time: &str) -> String {
    ((Timestamp::parse(time).unwrap().millis() - now()) / 1_000).to_string()
}

#[test]
fn a_clock_before_the_commit_date_records_nothing() {
    // Before NTP has set it, and before 1970, where the service's own time ends.
    for shown in ["2020-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z"] {
        let disk = Forgetful::new();
        let service = disk.serve(&[("POWERCUT_CLOCK_SECONDS", &seconds_to(shown))]);
        assert_eq!(service.put("12345678").unwrap(), 204);
        assert_eq!(management(&service, "/readyz").0, 200);
        let before = listed(&service);

        fs::write(disk.trigger(), "").unwrap();
        assert_eq!(service.put("12345678").unwrap(), 503, "{shown}");
        assert_eq!(service.put("87654321").unwrap(), 503, "{shown}");
        let (status, text) = management(&service, "/readyz");
        assert_eq!(status, 503, "{shown}: {text}");
        assert!(text.contains(r#""missing":{"clock":"the clock shows "#), "{text}");
        let (_, metrics) = management(&service, "/metrics");
        assert!(metrics.contains("\nvirksomhedslogin_clock_wrong 1\n"), "{metrics}");
        assert!(metrics.contains("\nvirksomhedslogin_ready 0\n"), "{metrics}");
        assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 200, "{shown}: reads go on");
        assert_eq!(listed(&service), before, "{shown}");

        fs::remove_file(disk.trigger()).unwrap();
        assert_eq!(service.put("87654321").unwrap(), 204);
        assert_eq!(management(&service, "/readyz").0, 200);
        assert!(management(&service, "/metrics").1.contains("\nvirksomhedslogin_clock_wrong 0\n"));
        let log = service.log();
        assert_eq!(log.matches("logins are refused: the clock shows").count(), 1, "{log}");
        assert!(log.contains("the clock is right again"), "{log}");
    }
}

#[test]
fn a_service_that_starts_with_a_wrong_clock_serves_reads() {
    let disk = Forgetful::new();
    let mut service = disk.serve(&[]);
    assert_eq!(service.put("12345678").unwrap(), 204);
    service.signal("TERM");
    service.wait(crate::suites::durability::restart::TIMEOUT);
    fs::write(disk.trigger(), "").unwrap();
    let service = disk.serve(&[("POWERCUT_CLOCK_SECONDS", &seconds_to("2020-01-01T00:00:00.000Z"))]);
    assert_eq!(management(&service, "/livez").0, 200);
    assert_eq!(service.put("12345678").unwrap(), 503);
    assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 200);
    fs::remove_file(disk.trigger()).unwrap();
    assert_eq!(service.put("12345678").unwrap(), 204);
}

#[test]
fn a_clock_a_day_behind_the_latest_login_is_warned_of_once() {
    let disk = Forgetful::new();
    let service = disk.serve(&[("POWERCUT_CLOCK_SECONDS", "90000")]);
    fs::write(disk.trigger(), "").unwrap();
    assert_eq!(
        service.put("12345678").unwrap(),
        204,
        "on a store of its own nothing shows that this is wrong"
    );
    fs::remove_file(disk.trigger()).unwrap();
    for _ in 0..3 {
        assert_eq!(management(&service, "/readyz").0, 200, "one wrong record stops no service");
        assert_eq!(service.put("87654321").unwrap(), 204);
    }
    let (_, metrics) = management(&service, "/metrics");
    let behind = metrics
        .lines()
        .find_map(|line| line.strip_prefix("virksomhedslogin_clock_behind_latest_login_seconds "))
        .unwrap_or_else(|| panic!("{metrics}"));
    assert!((89_000.0..=90_000.0).contains(&behind.parse::<f64>().unwrap()), "{behind}");
    let log = service.log();
    assert_eq!(log.matches("behind the latest login").count(), 1, "{log}");
}
