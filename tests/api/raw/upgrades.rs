//! Nothing is upgraded to: the answer does not say so, and what follows such a request is nobody's.

use super::{Closed, get, hold, row, send};
use crate::harness::spawn_app;
use virksomhedslogin::domain::access::OrganisationType::Star;

#[test]
fn a_request_to_upgrade_is_answered_as_it_is_and_is_the_last() {
    let app = spawn_app();
    let with = |headers: &str| get("/v1/Logins", headers);
    hold(
        &app,
        &[
            row("upgrade alone", with("Connection: Upgrade\r\n"), 200, Closed),
            row(
                "h2c",
                with("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"),
                200,
                Closed,
            ),
            row("websocket", with("Connection: Upgrade\r\nUpgrade: websocket\r\n"), 200, Closed),
            row("websocket without a connection", with("Upgrade: websocket\r\n"), 200, Closed),
        ],
    );
    let token = app.as_org(Star).token().unwrap();
    let request = with("Connection: Upgrade\r\nUpgrade: h2c\r\n")
        .replace("{auth}", &format!("Authorization: Bearer {token}\r\n"));
    let head = &send(&app, request.as_bytes(), 1).answers[0].head;
    assert!(head.contains("connection: close") && !head.to_lowercase().contains("upgrade"), "{head}");
}
