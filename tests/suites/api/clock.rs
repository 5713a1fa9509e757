//! A clock that is plainly wrong: SetLogin is refused, and nothing else.

use serde_json::json;
use virksomhedslogin::testing::OrganisationType::Star;
use virksomhedslogin::testing::Timestamp;

use crate::suites::api::harness::{EARLIEST, spawn_app_with};

#[test]
fn setlogin_is_503_while_the_clock_is_before_the_commit_date() {
    // Of the token's own times none may be judged by the clock that is wrong.
    let app = spawn_app_with("token.max_lifetime_seconds = 0\n");
    let star = app.as_org(Star).with("exp", json!(4_000_000_000_i64));
    let right = Timestamp::parse(EARLIEST).unwrap();
    app.clock.set(right);
    assert_eq!(star.set_login("12345678").status, 204, "the day itself is right");
    let before = star.get_login("12345678");

    for wrong in [right.shifted(-1), Timestamp::parse("2020-01-01T00:00:00.000Z").unwrap(), Timestamp::MIN] {
        app.clock.set(wrong);
        let answer = star.set_login("12345678");
        assert_eq!(answer.problem(), (503, "1100".to_owned()));
        assert_eq!(answer.header("retry-after"), Some("5"));
        assert_eq!(star.set_login("87654321").status, 503);
        assert_eq!(star.set_login("1234567").status, 400, "a bad request is answered as one");
        let ready = app.management("/readyz");
        assert_eq!(ready.status, 503);
        let missing = ready.json()["missing"].as_object().unwrap().clone();
        assert_eq!(missing.keys().collect::<Vec<_>>(), ["clock"], "the store itself is well");
        let reported = missing["clock"].as_str().unwrap();
        assert!(reported.contains(&wrong.to_string()) && reported.contains(EARLIEST), "{reported}");
        assert_eq!(app.management("/livez").status, 200);
        assert_eq!(star.get_login("12345678").body, before.body);
        assert_eq!(star.get_login("87654321").status, 404, "nothing was recorded");
        assert_eq!(star.get_logins().status, 200);
        let metrics = app.management("/metrics");
        assert!(metrics.text().contains("\nvirksomhedslogin_clock_wrong 1\n"), "{}", metrics.text());
    }
    let metrics = app.management("/metrics");
    let refused = "virksomhedslogin_store_errors_total{operation=\"record\",kind=\"wrong_clock\"} 6\n";
    assert!(metrics.text().contains(refused), "{}", metrics.text());
    let refused = app.audit().iter().filter(|line| line["status"] == 503).count();
    assert_eq!(refused, 6, "each is audited");

    app.clock.set(right);
    assert_eq!(star.set_login("87654321").status, 204);
    assert_eq!(app.management("/readyz").status, 200);
    assert!(app.management("/metrics").text().contains("\nvirksomhedslogin_clock_wrong 0\n"));
}
