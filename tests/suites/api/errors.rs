//! The error table, row by row, and what the framework would have said by itself.

use virksomhedslogin::testing::OrganisationType::{JobCenter, Star};

use crate::suites::api::harness::spawn_app;

#[test]
fn an_unknown_company_is_a_404_with_the_contracts_words() {
    let app = spawn_app();
    let answer =
        app.as_org(JobCenter).send("GET", "/v1/Login?cvrNummer=12345678", &[("x-requestId", "id-1")], None);
    assert_eq!(answer.problem(), (404, "120500".to_owned()));
    insta::assert_snapshot!(answer.text(), @r#"{"type":"about:blank","title":"Not Found","status":404,"fejlkode":"120500","fejltekst":"Virksomheden blev ikke fundet.","requestId":"id-1"}"#);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn a_400_is_shaped_like_this() {
    let app = spawn_app();
    let answer = app.as_org(JobCenter).send("GET", "/v1/Login?cvrNummer=x", &[("x-requestId", "id-1")], None);
    insta::assert_snapshot!(answer.text(), @r#"{"type":"about:blank","title":"Bad Request","status":400,"fejlkode":"1014","fejltekst":"Forespørgslen indeholder fejl.","fejl":[{"felt":"cvrNummer","fejltekst":"Skal være otte cifre ([0-9]{8})."}],"requestId":"id-1"}"#);
}

#[test]
fn unknown_paths_are_answered_alike_with_and_without_a_token() {
    let app = spawn_app();
    for path in [
        "/x",
        "/v1",
        "/v1/",
        "/v1/login",
        "/V1/Login",
        "/v1/Login/",
        "/v1/Logins/",
        "/v1//Login",
        "/v1/Login/1/2",
        "/v2/Login",
        "/livez",
        "/readyz",
        "/metrics",
        "/export",
    ] {
        for verb in ["GET", "PUT", "POST", "OPTIONS"] {
            let body = (verb == "PUT" || verb == "POST").then_some(&b"{}"[..]);
            let with = app.as_org(Star).send(verb, path, &[("x-requestId", "a")], body);
            let without = app.as_anonymous().send(verb, path, &[("x-requestId", "a")], body);
            assert_eq!(with.problem(), (404, "1014".to_owned()), "{verb} {path}");
            assert_eq!(with.text(), without.text());
        }
    }
}

#[test]
fn a_wrong_verb_is_a_405_that_names_the_right_ones() {
    let app = spawn_app();
    let reads = "GET, HEAD, OPTIONS";
    let writes = "PUT, OPTIONS";
    for (path, allow, verbs) in [
        ("/v1/Login", reads, ["PUT", "POST", "DELETE", "PATCH"]),
        ("/v1/Logins", reads, ["PUT", "POST", "DELETE", "PATCH"]),
        ("/v1/Login/12345678", writes, ["GET", "POST", "DELETE", "HEAD"]),
        ("/v1/Login12345678", writes, ["GET", "POST", "DELETE", "PURGE"]),
    ] {
        for verb in verbs {
            let body = ["PUT", "POST", "PATCH"].contains(&verb).then_some(&b"{}"[..]);
            for caller in [app.as_org(Star), app.as_anonymous()] {
                let answer = caller.send(verb, path, &[], body);
                assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{verb} {path}");
                if verb != "HEAD" {
                    assert_eq!(answer.problem().1, "1014");
                }
            }
        }
        for caller in [app.as_org(Star), app.as_anonymous()] {
            let answer = caller.send("OPTIONS", path, &[], None);
            assert_eq!((answer.status, answer.header("allow"), answer.text()), (204, Some(allow), ""));
        }
    }
}

#[test]
fn no_token_is_a_challenge_without_an_error_and_a_bad_one_with() {
    let app = spawn_app();
    let none = app.as_anonymous().get_logins();
    assert_eq!(none.problem(), (401, "1012".to_owned()));
    assert_eq!(none.header("www-authenticate"), Some(r#"Bearer realm="virksomhedslogin""#));
    for value in ["Bearer x", "bearer a.b.c", "Bearer", "Bearer ", "BEARER eyJ.eyJ.x"] {
        let bad = app.as_anonymous().send("GET", "/v1/Logins", &[("Authorization", value)], None);
        assert_eq!(bad.problem(), (401, "1012".to_owned()), "{value}");
        assert_eq!(
            bad.header("www-authenticate"),
            Some(r#"Bearer realm="virksomhedslogin", error="invalid_token""#),
            "{value}"
        );
    }
    let basic = app.as_anonymous().send("GET", "/v1/Logins", &[("Authorization", "Basic eDp5")], None);
    assert_eq!(basic.problem(), (401, "1012".to_owned()));
}

#[test]
fn an_unread_body_does_not_hide_the_answer() {
    let app = spawn_app();
    let body = "x".repeat(1024 * 1024);
    let answer = app.as_anonymous().put("/v1/Login/12345678", &body);
    assert_eq!(answer.problem(), (401, "1012".to_owned()));
    let answer = app.as_org(Star).put("/v1/Login/12345678", &body);
    assert_eq!(answer.problem(), (413, "1014".to_owned()));
}
