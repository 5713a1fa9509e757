//! The management listener, reloading, and the audit lines.

use serde_json::{Value, json};
use virksomhedslogin::testing::OrganisationType::{AKasse, JobCenter, Star};

use crate::suites::api::harness::{START, spawn_app};

#[test]
fn management_says_that_the_service_lives_and_is_ready() {
    let app = spawn_app();
    let alive = app.management("/livez");
    assert_eq!((alive.status, alive.text()), (200, r#"{"status":"alive"}"#));
    let ready = app.management("/readyz");
    assert_eq!((ready.status, ready.text()), (200, r#"{"status":"ready"}"#));
    assert_eq!(app.management("/v1/Logins").problem(), (404, "1014".to_owned()));
}

#[test]
fn management_exports_every_record_with_a_trailer() {
    let app = spawn_app();
    assert_eq!(
        app.management("/export").text(),
        "{\"antal\":0,\"sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}\n"
    );
    app.as_org(Star).set_logins((0..700).map(|number| number * 77_777));
    let export = app.management("/export");
    assert_eq!(export.status, 200);
    assert_eq!(export.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(export.header("cache-control"), Some("no-store"));
    // A database sends its records before it is known how many there are.
    let length = app.store.url().is_none().then(|| export.body.len().to_string());
    assert_eq!(export.header("content-length"), length.as_deref());
    let (rows, trailer) = export.text().split_at(700 * 129);
    let rows: Vec<&str> = rows.lines().collect();
    assert!(rows.len() == 700 && rows.is_sorted());
    let first = json!({
        "cvrNummer": "00000000", "tidligsteLoginTidspunkt": START, "senesteLogintidspunkt": START,
    });
    assert_eq!(serde_json::from_str::<Value>(rows[0]).unwrap(), first);
    assert!(trailer.starts_with("{\"antal\":700,\"sha256\":\"") && trailer.ends_with("\"}\n"), "{trailer}");

    let head = app.management_as("HEAD", "/export");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), export.header("content-length"));
    for verb in ["POST", "DELETE"] {
        let refused = app.management_as(verb, "/export");
        assert_eq!(refused.status, 405);
        assert_eq!(refused.header("allow"), Some("GET, HEAD, OPTIONS"));
    }
    assert_eq!(
        app.as_org(Star).send("GET", "/export", &[], None).status,
        404,
        "not through the API's address"
    );
}

#[test]
fn a_reload_uses_the_new_table_at_once() {
    let app = spawn_app();
    assert_eq!(app.as_org(AKasse).get_logins().status, 200);
    let table = app.directory.path().join("access.toml");
    std::fs::write(&table, "version = 1\n[GetLogins]\nSTAR = [\"AlleBorgere\"]\n").unwrap();
    assert_eq!(app.as_org(AKasse).get_logins().status, 200, "not before the signal");
    app.reload.run().unwrap();
    assert_eq!(app.as_org(AKasse).get_logins().problem(), (403, "4575".to_owned()));
    assert_eq!(app.as_org(Star).get_logins().status, 200);
}

#[test]
fn a_reload_with_one_fault_changes_nothing_at_all() {
    let app = spawn_app();
    let table = app.directory.path().join("access.toml");
    std::fs::write(&table, "version = 1\n[GetLogins]\nSTAR = [\"AlleBorgere\"]\n").unwrap();
    let keys = app.directory.path().join("jwks.json");
    let good_keys = std::fs::read_to_string(&keys).unwrap();
    std::fs::write(&keys, r#"{"keys":[]}"#).unwrap();
    assert!(app.reload.run().unwrap_err().to_string().contains("token.jwks"));
    assert_eq!(app.as_org(AKasse).get_logins().status, 200, "keys and table are the old ones");

    std::fs::write(&keys, good_keys).unwrap();
    std::fs::write(&table, "version = 2\n[GetLogins]\nSTAR = [\"Alle\"]\n").unwrap();
    let faults = app.reload.run().unwrap_err().to_string();
    assert!(faults.contains("version") && faults.contains("Alle"), "{faults}");
    assert_eq!(app.as_org(AKasse).get_logins().status, 200);
}

#[test]
fn keys_of_a_refused_reload_do_not_follow_by_themselves() {
    let app = spawn_app();
    let access = app.directory.path().join("access.toml");
    let good_access = std::fs::read_to_string(&access).unwrap();
    std::fs::write(&access, "version = 2\n").unwrap();
    // In one step, and the reload at once: the service looks at the file every two seconds.
    let new = app.directory.path().join("jwks.json.new");
    std::fs::write(&new, virksomhedslogin::testing::Signer::generate_es256("other").unwrap().jwks()).unwrap();
    std::fs::rename(new, app.directory.path().join("jwks.json")).unwrap();
    assert!(app.reload.run().is_err());
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(app.as_org(Star).get_logins().status, 200, "nothing is changed");
    std::fs::write(&access, good_access).unwrap();
    app.reload.run().unwrap();
    assert_eq!(app.as_org(Star).get_logins().status, 401, "and all of it with the next reload");
}

#[test]
fn a_reload_goes_on_in_a_new_audit_file_after_a_rotation() {
    let app = spawn_app();
    app.as_org(Star).get_logins();
    let audit = app.directory.path().join("audit.ndjson");
    let rotated = app.directory.path().join("audit.ndjson.1");
    std::fs::rename(&audit, &rotated).unwrap();
    app.as_org(Star).get_logins();
    app.reload.run().unwrap();
    app.as_org(JobCenter).get_logins();
    assert_eq!(std::fs::read_to_string(rotated).unwrap().lines().count(), 2);
    assert_eq!(app.audit().len(), 1);
}

#[test]
fn every_call_that_reached_a_method_is_one_audit_line() {
    let app = spawn_app();
    let id = [("x-requestId", "id-1")];
    app.as_org(JobCenter).with("cvr", json!("11111111")).send(
        "GET",
        "/v1/Login?cvrNummer=12345678",
        &id,
        None,
    );
    app.as_org(JobCenter).set_login("12345678");
    app.as_anonymous().get_login("12345678");
    app.as_anonymous().send("GET", "/nowhere", &id, None);
    app.as_org(Star).send("DELETE", "/v1/Logins", &id, None);
    app.as_org(Star)
        .with("sub", json!("a\nb\u{2028}\u{7f}"))
        .with("adgang", json!(["Ukendt", "AlleBorgere"]))
        .get_logins();

    let lines = app.audit();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert_eq!(
        lines[0],
        json!({
            "tid": START, "requestId": "id-1", "metode": "GetLogin", "udfald": "tilladt", "status": 404,
            "fejlkode": "120500", "aarsag": "GetLogin.JobCenter allows AlleBorgere", "cvrNummer": "12345678",
             "traceId": lines[0]["traceId"], "sub": "tester", "clientId": "client-1", "organisationType": "JobCenter",
             "organisationCode": "101", "adgang": ["AlleBorgere"], "aktoerCvr": "11111111",
             "remote": app.remote(),
        })
    );
    let seen = |line: &Value| {
        ["metode", "udfald", "status", "fejlkode", "cvrNummer"].map(|name| line[name].to_string()).join(" ")
    };
    assert_eq!(seen(&lines[1]), r#""SetLogin" "afvist" 403 "4575" "12345678""#);
    assert_eq!(seen(&lines[2]), r#""GetLogin" "afvist" 401 "1012" "12345678""#);
    assert_eq!(seen(&lines[3]), r#""GetLogins" "tilladt" 200 null null"#);
    assert_eq!(lines[3]["sub"], "a\nb\u{2028}\u{7f}");
    assert_eq!(lines[3]["adgang"], json!(["Ukendt", "AlleBorgere"]));
    let text = std::fs::read_to_string(app.directory.path().join("audit.ndjson")).unwrap();
    assert!(!text.contains('\u{2028}') && !text.contains('\u{7f}') && text.lines().count() == 4);
    let token = app.as_org(Star).token().unwrap();
    assert!(token.split('.').all(|part| !text.contains(part)));
}

#[test]
fn what_was_answered_is_there_after_a_restart() {
    let app = spawn_app();
    app.as_org(Star).set_login("12345678");
    let before = app.as_org(Star).get_logins().text().to_owned();
    let app = app.restart();
    assert_eq!(app.as_org(Star).get_logins().text(), before);
}
