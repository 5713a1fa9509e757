//! Nothing is upgraded to: an offer is passed over (RFC 9110 §7.8), and the connection goes on as it is.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{AUTH, BODY, Closed, GoesOn, get, hold, listen, put, row};
use crate::suites::api::harness::spawn_app;
use virksomhedslogin::testing::OrganisationType::Star;

/// What Java's HttpClient sends with every request over plain HTTP.
const H2C: &str = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n";

#[test]
fn offer_to_upgrade_is_passed_over() {
    let app = spawn_app();
    let length = format!("Content-Length: {}\r\n", BODY.len());
    let read = |headers: &str| get("/v1/Logins", headers);
    let write = |headers: &str| put(&format!("{headers}{length}"), BODY);
    let websocket = "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n";
    hold(
        &app,
        &[
            row("upgrade alone", read("Connection: Upgrade\r\n"), 200, GoesOn),
            row("h2c", read(H2C), 200, GoesOn),
            row("h2c and the end", read(&format!("{H2C}Connection: close\r\n")), 200, Closed),
            row("websocket", read(websocket), 200, GoesOn),
            row("websocket without a connection", read("upgrade: WebSocket\r\n"), 200, GoesOn),
            row("h2c with a body", write(H2C), 204, GoesOn),
            row("websocket with a body", write(websocket), 204, GoesOn),
            row("websocket without a body", put(websocket, ""), 400, GoesOn),
            row("an unknown protocol with a body", write("Upgrade: x/1, websocket\r\n"), 204, GoesOn),
        ],
    );
}

#[test]
fn offer_that_arrives_in_pieces_is_answered_at_once() {
    let app = spawn_app();
    let token = app.as_org(Star).token().unwrap();
    let request = put(&format!("Upgrade: websocket\r\nContent-Length: {}\r\n", BODY.len()), BODY)
        .replace(AUTH, &format!("Authorization: Bearer {token}\r\n"));
    let (begin, end) = request.split_at(request.find("grade: web").unwrap());
    let mut stream = TcpStream::connect(&app.address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(begin.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    stream.write_all(end.as_bytes()).unwrap();
    let started = Instant::now();
    let heard = listen(&mut stream, 2);
    assert_eq!((heard.statuses(), heard.closed), (vec![204], true));
    assert!(heard.answers[0].head.contains("connection: close"), "{heard:?}");
    assert!(started.elapsed() < Duration::from_secs(4));
}
