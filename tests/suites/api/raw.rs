//! Requests as bytes, right and wrong ones: exactly one answer to each, nothing taken for a second request, and no
//! caller without a token let in.
//!
//! Every row is sent twice on connections of their own, with a good token and without one, and each time with a good
//! request right behind it. Where the framing is in doubt that one must not be answered.

mod bodies;
mod expectations;
mod framing;
mod heads;
mod lines;
mod targets;
mod upgrades;
mod versions;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use virksomhedslogin::testing::OrganisationType::Star;

use crate::suites::api::harness::TestApp;

pub(super) const BODY: &str = r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678"}}"#;
/// Where a row has it, the header with the token is put, or nothing.
pub(super) const AUTH: &str = "{auth}";
/// The company that only the request behind a row names.
const BEHIND: &str = "87654321";

/// What becomes of the connection, and of the request behind the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// It goes on: the request behind is answered.
    GoesOn,
    /// It is closed: the request behind is never looked at.
    Closed,
}
pub(super) use After::{Closed, GoesOn};

/// Bytes, and how they are answered to a caller with a token: 0 for not at all.
pub(super) struct Row<'a> {
    pub name: &'a str,
    pub bytes: Vec<u8>,
    pub status: u16,
    pub after: After,
}

pub(super) fn row<'a>(name: &'a str, bytes: impl Into<Vec<u8>>, status: u16, after: After) -> Row<'a> {
    Row { name, bytes: bytes.into(), status, after }
}

/// What came back on a connection.
#[derive(Debug)]
pub(super) struct Heard {
    pub answers: Vec<Reply>,
    pub closed: bool,
}

/// One answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Heard {
    pub(super) fn statuses(&self) -> Vec<u16> {
        self.answers.iter().map(|answer| answer.status).collect()
    }
}

/// Sends these bytes and listens until the connection is closed, or as many answers have come and nothing more does.
pub(super) fn send(app: &TestApp, bytes: &[u8], expected: usize) -> Heard {
    send_to(&app.address, bytes, expected)
}

/// As [`send`], to the listener at this address.
pub(super) fn send_to(address: &str, bytes: &[u8], expected: usize) -> Heard {
    let mut stream = TcpStream::connect(address).unwrap();
    // The service may have closed before all of it is sent.
    let _ = stream.write_all(bytes);
    listen(&mut stream, expected)
}

/// Listens on a connection.
pub(super) fn listen(stream: &mut TcpStream, expected: usize) -> Heard {
    let (mut text, mut closed, until) = (Vec::new(), false, Instant::now() + Duration::from_secs(8));
    while Instant::now() < until {
        let enough = answers(&text).is_some_and(|answers| answers.len() >= expected);
        stream.set_read_timeout(Some(Duration::from_millis(if enough { 150 } else { 8_000 }))).unwrap();
        let mut piece = [0; 65_536];
        match stream.read(&mut piece) {
            Ok(0) => closed = true,
            Ok(length) => text.extend_from_slice(&piece[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => closed = true,
            Err(_) => break,
        }
        if closed {
            break;
        }
    }
    let answers = answers(&text).unwrap_or_else(|| panic!("no HTTP: {}", String::from_utf8_lossy(&text)));
    Heard { answers, closed }
}

/// The answers in these bytes, when they are nothing but whole answers.
fn answers(mut text: &[u8]) -> Option<Vec<Reply>> {
    let mut answers = Vec::new();
    while !text.is_empty() {
        let end = text.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(text[..end].to_vec()).ok()?;
        text = &text[end..];
        let status: u16 = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let body = if head.contains("\r\ntransfer-encoding: chunked\r\n") {
            chunks(&mut text)?
        } else if status == 200 && length.is_none() {
            // Until the connection is closed.
            std::mem::take(&mut text).to_vec()
        } else {
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            let body = text.get(..length)?;
            text = &text[length..];
            body.to_vec()
        };
        let body = String::from_utf8(body).ok()?;
        if status != 100 {
            answers.push(Reply { status, head, body });
        }
    }
    Some(answers)
}

/// The body that these bytes begin with, when it is whole: an answer whose length is not known before its end.
fn chunks(text: &mut &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = text.windows(2).position(|two| two == b"\r\n")?;
        let length = usize::from_str_radix(std::str::from_utf8(&text[..end]).ok()?, 16).ok()?;
        let chunk = text.get(end + 2..end + 2 + length + 2)?;
        assert!(chunk.ends_with(b"\r\n"), "a chunk ends where it says");
        body.extend_from_slice(&chunk[..length]);
        *text = &text[end + 2 + length + 2..];
        if length == 0 {
            return Some(body);
        }
    }
}

/// A request line and headers for SetLogin, `{auth}` among them, with this body's bytes behind.
pub(super) fn put(headers: &str, body: &str) -> String {
    format!(
        "PUT /v1/Login/12345678 HTTP/1.1\r\nHost: x\r\n{AUTH}Content-Type: application/json\r\n{headers}\r\n{body}"
    )
}

/// A request line and headers for GetLogins.
pub(super) fn get(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: x\r\n{AUTH}{headers}\r\n")
}

/// Holds each row to what it says.
pub(super) fn hold(app: &TestApp, rows: &[Row<'_>]) {
    let token = app.as_org(Star).token().unwrap();
    let with_token = format!("Authorization: Bearer {token}\r\n");
    let behind = format!("GET /v1/Login?cvrNummer={BEHIND} HTTP/1.1\r\nHost: x\r\n{with_token}\r\n");
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let tried: Vec<_> = rows
            .iter()
            .flat_map(|row| [(row, with_token.as_str()), (row, "")])
            .map(|(row, auth)| (row, auth, scope.spawn(|| try_one(app, row, auth, &behind))))
            .collect();
        let reported = tried.into_iter().filter_map(|(row, auth, reported)| {
            let who = if auth.is_empty() { "without a token" } else { "with a token" };
            reported.join().unwrap().map(|reported| format!("{}, {who}: {reported}", row.name))
        });
        reported.collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(app.audit().iter().all(|line| line["udfald"] != "tilladt" || line["clientId"] == "client-1"));
}

/// What is wrong with the answers to this row and to the request behind it.
fn try_one(app: &TestApp, row: &Row<'_>, auth: &str, behind: &str) -> Option<String> {
    let text = replaced(&row.bytes, AUTH.as_bytes(), auth.as_bytes());
    let own = usize::from(row.status != 0);
    // One more than there should be, so that it is waited for until the connection is closed.
    let heard = send(app, &[&text[..], behind.as_bytes()].concat(), own + 1);
    let statuses = heard.statuses();
    // Where the head alone decides, its answer may be out before the bytes behind it turn out to be none.
    let own = if auth.is_empty() && own == 0 { statuses.len().min(1) } else { own };
    let first = statuses.first().copied().unwrap_or(0);
    let is_open_to_all = row.bytes.starts_with(b"OPTIONS");
    let as_told =
        if auth.is_empty() && !is_open_to_all { !(200..400).contains(&first) } else { first == row.status };
    let followed = match row.after {
        GoesOn => statuses.len() == own + 1 && statuses.last() == Some(&404) && !heard.closed,
        Closed => statuses.len() == own && heard.closed,
    };
    let in_form = heard.answers.iter().all(|answer| {
        answer.body.is_empty() || answer.status < 400 || answer.head.contains("application/problem+json")
    });
    let right = as_told && followed && in_form;
    (!right).then(|| format!("{statuses:?}, closed: {}, not {} {:?}", heard.closed, row.status, row.after))
}

fn replaced(bytes: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    match bytes.windows(what.len()).position(|window| window == what) {
        Some(at) => [&bytes[..at], by, &bytes[at + what.len()..]].concat(),
        None => bytes.to_vec(),
    }
}
