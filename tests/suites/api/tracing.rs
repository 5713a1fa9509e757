//! `traceparent`: taken, returned, and written down with the call.

use virksomhedslogin::testing::OrganisationType::Star;

use crate::suites::api::harness::{Answer, spawn_app};

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The trace's id, the call's own id and the flags that an answer names.
fn trace(answer: &Answer) -> (String, String, String) {
    let parts: Vec<_> = answer.header("traceparent").unwrap().split('-').map(str::to_owned).collect();
    assert_eq!((parts[0].as_str(), parts.len()), ("00", 4));
    (parts[1].clone(), parts[2].clone(), parts[3].clone())
}

#[test]
fn a_trace_goes_on_in_the_answer_and_in_the_audit_line() {
    let app = spawn_app();
    let sent = [("traceparent", SENT)];
    for (path, status) in
        [("/v1/Logins", 200), ("/v1/Login?cvrNummer=1", 400), ("/v1/Login?cvrNummer=12345678", 404)]
    {
        let answer = app.as_org(Star).send("GET", path, &sent, None);
        let (id, own, flags) = trace(&answer);
        assert_eq!((answer.status, id.as_str(), flags.as_str()), (status, ID, "01"), "{path}");
        assert_ne!(own, "00f067aa0ba902b7", "the call has an id of its own");
    }
    assert!(app.audit().iter().all(|line| line["traceId"] == ID));
    // Every answer of the listener has it, also where no method is reached and nothing is audited.
    for (verb, path) in
        [("GET", "/nowhere"), ("OPTIONS", "/v1/Logins"), ("DELETE", "/v1/Logins"), ("GET", "/")]
    {
        assert_eq!(trace(&app.as_anonymous().send(verb, path, &sent, None)).0, ID, "{verb} {path}");
    }
}

#[test]
fn a_trace_that_cannot_be_used_is_replaced_and_never_refused() {
    let app = spawn_app();
    let zero = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
    let upper = SENT.to_uppercase();
    for sent in [
        &[][..],
        &[("traceparent", "")],
        &[("traceparent", "x")],
        &[("traceparent", zero)],
        &[("traceparent", &*upper)],
        &[("traceparent", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")],
        &[("traceparent", SENT), ("traceparent", SENT)],
        &[("tracestate", "vendor=1")],
    ] {
        let answer = app.as_org(Star).send("GET", "/v1/Logins", sent, None);
        let (id, _, flags) = trace(&answer);
        assert_eq!((answer.status, flags.as_str()), (200, "02"), "{sent:?}");
        assert!(id.to_lowercase() == id && id.len() == 32 && !ID.eq_ignore_ascii_case(&id), "{sent:?}: {id}");
        assert_eq!(app.audit().last().unwrap()["traceId"], *id, "{sent:?}");
    }
    let later = [("TraceParent", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-and-more")];
    assert_eq!(trace(&app.as_org(Star).send("GET", "/v1/Logins", &later, None)).0, ID);
}
