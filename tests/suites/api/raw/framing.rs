//! Where a body ends (RFC 9112 §6, §7).

use super::{BODY, Closed, GoesOn, get, hold, put, row};
use crate::suites::api::harness::spawn_app;

#[test]
fn a_length_that_can_be_read_in_two_ways_is_refused() {
    let app = spawn_app();
    let length = BODY.len();
    let with = |headers: String| put(&headers, BODY);
    hold(
        &app,
        &[
            row("one length", with(format!("Content-Length: {length}\r\n")), 204, GoesOn),
            row("white space around it", with(format!("Content-Length: \t {length} \r\n")), 204, GoesOn),
            row(
                "the same twice",
                with(format!("Content-Length: {length}\r\nContent-Length: {length}\r\n")),
                400,
                Closed,
            ),
            row(
                "two that differ",
                with(format!("Content-Length: {length}\r\nContent-Length: 0\r\n")),
                400,
                Closed,
            ),
            row("a list", with(format!("Content-Length: {length}, {length}\r\n")), 400, Closed),
            row("a sign", with(format!("Content-Length: +{length}\r\n")), 400, Closed),
            row("less than nothing", with("Content-Length: -1\r\n".to_owned()), 400, Closed),
            row("hexadecimal", with("Content-Length: 0x30\r\n".to_owned()), 400, Closed),
            row("words", with("Content-Length: many\r\n".to_owned()), 400, Closed),
            row("empty", with("Content-Length:\r\n".to_owned()), 400, Closed),
            row(
                "beyond 64 bits",
                with("Content-Length: 99999999999999999999999\r\n".to_owned()),
                400,
                Closed,
            ),
            row("inner space", with("Content-Length: 4 8\r\n".to_owned()), 400, Closed),
            row(
                "length and chunks",
                with(format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n")),
                400,
                Closed,
            ),
            row(
                "chunks and length",
                with(format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n")),
                400,
                Closed,
            ),
            row(
                "chunks and a length of nothing",
                with("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n".to_owned()),
                400,
                Closed,
            ),
        ],
    );
}

#[test]
fn no_other_transfer_coding_is_taken_for_chunked() {
    let app = spawn_app();
    let chunks = format!("{:x}\r\n{BODY}\r\n0\r\n\r\n", BODY.len());
    let with = |header: &str| put(&format!("{header}\r\n"), &chunks);
    hold(
        &app,
        &[
            row("chunked", with("Transfer-Encoding: chunked"), 204, GoesOn),
            row("any case", with("transfer-encoding: CHUNKED"), 204, GoesOn),
            row("a tab before it", with("Transfer-Encoding:\tchunked"), 204, GoesOn),
            row("chunked, identity", with("Transfer-Encoding: chunked, identity"), 400, Closed),
            row("identity, chunked", with("Transfer-Encoding: identity, chunked"), 400, Closed),
            row("chunked, chunked", with("Transfer-Encoding: chunked, chunked"), 400, Closed),
            row("gzip, chunked", with("Transfer-Encoding: gzip, chunked"), 400, Closed),
            row("identity", with("Transfer-Encoding: identity"), 400, Closed),
            row("xchunked", with("Transfer-Encoding: xchunked"), 400, Closed),
            row("in quotes", with("Transfer-Encoding: \"chunked\""), 400, Closed),
            row("a parameter", with("Transfer-Encoding: chunked;q=1"), 400, Closed),
            row("a comma behind", with("Transfer-Encoding: chunked,"), 400, Closed),
            row("empty", with("Transfer-Encoding:"), 400, Closed),
            row("twice", with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400, Closed),
            row(
                "twice, other words",
                with("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
                400,
                Closed,
            ),
            row("a space before the colon", with("Transfer-Encoding : chunked"), 400, Closed),
            row("a tab before the colon", with("Transfer-Encoding\t: chunked"), 400, Closed),
            row("a vertical tab", with("Transfer-Encoding: \x0bchunked"), 400, Closed),
            row("a folded line", with("Transfer-Encoding:\r\n chunked"), 400, Closed),
            row(
                "in HTTP/1.0",
                with("Transfer-Encoding: chunked").replace("HTTP/1.1", "HTTP/1.0"),
                400,
                Closed,
            ),
        ],
    );
}

#[test]
fn a_broken_chunk_ends_the_connection() {
    let app = spawn_app();
    let with = |chunks: String| put("Transfer-Encoding: chunked\r\n", &chunks);
    let size = format!("{:x}", BODY.len());
    let whole = |first: &str| with(format!("{first}\r\n{BODY}\r\n0\r\n\r\n"));
    hold(
        &app,
        &[
            row("one chunk", whole(&size), 204, GoesOn),
            row(
                "upper case and zeroes before it",
                whole(&format!("000{}", size.to_uppercase())),
                204,
                GoesOn,
            ),
            row("an extension", whole(&format!("{size};name=value")), 204, GoesOn),
            row("an extension in quotes", whole(&format!("{size};name=\"a b\"")), 204, GoesOn),
            row("a trailer", with(format!("{size}\r\n{BODY}\r\n0\r\nX-Sum: 1\r\n\r\n")), 204, GoesOn),
            row("nothing", with("\r\n0\r\n\r\n".to_owned()), 0, Closed),
            row("a prefix", whole(&format!("0x{size}")), 0, Closed),
            row("a sign", whole(&format!("+{size}")), 0, Closed),
            row("less than nothing", whole("-1"), 0, Closed),
            row("no number", whole("size"), 0, Closed),
            row("beyond 64 bits", whole("fffffffffffffffff"), 0, Closed),
            row("a line feed alone behind the size", with(format!("{size}\n{BODY}\r\n0\r\n\r\n")), 0, Closed),
            row(
                "a line feed in the extension",
                with(format!("{size};a\nb\r\n{BODY}\r\n0\r\n\r\n")),
                0,
                Closed,
            ),
            row("a NUL in the extension", whole(&format!("{size};\0")), 0, Closed),
            row("less data than the size", with(format!("{size}\r\n{}\r\n0\r\n\r\n", &BODY[1..])), 0, Closed),
            row("more data than the size", with(format!("{size}\r\n{BODY} \r\n0\r\n\r\n")), 0, Closed),
        ],
    );
    // Each row had reached SetLogin when it broke: one line a call, also for one whose answer was not sent any more.
    let lines = app.audit();
    let of = |status: u16| {
        lines.iter().filter(|line| line["metode"] == "SetLogin" && line["status"] == status).count()
    };
    assert_eq!((of(204), of(400), of(401)), (5, 11, 16), "{lines:#?}");
}

#[test]
fn a_body_on_a_read_is_never_the_next_request() {
    let app = spawn_app();
    // Would be a 401 of its own.
    let hidden = "GET /v1/Logins HTTP/1.1\r\nHost: hidden\r\n\r\n";
    let length = format!("Content-Length: {}\r\n", hidden.len());
    let chunks = format!("{:x}\r\n{hidden}\r\n0\r\n\r\n", hidden.len());
    let chunked = "Transfer-Encoding: chunked\r\n";
    let upgrade = format!("Upgrade: websocket\r\nConnection: Upgrade\r\n{length}");
    hold(
        &app,
        &[
            row("a length", get("/v1/Logins", &length) + hidden, 200, GoesOn),
            row("a length, unknown path", get("/nowhere", &length) + hidden, 404, GoesOn),
            row("chunks", get("/v1/Logins", chunked) + &chunks, 200, GoesOn),
            row("chunks, unknown path", get("/nowhere", chunked) + &chunks, 404, GoesOn),
            row("a length and an upgrade", get("/v1/Logins", &upgrade) + hidden, 200, GoesOn),
            row(
                "a length beyond what comes",
                get("/v1/Logins", "Content-Length: 9999\r\n") + hidden,
                200,
                Closed,
            ),
        ],
    );
}

#[test]
fn of_several_requests_at_once_the_bad_one_is_the_last() {
    let app = spawn_app();
    let good = "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n";
    let bad = "GET /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
    for (text, statuses) in [
        (good.repeat(3), &[404, 404, 404][..]),
        (format!("{good}{bad}{good}"), &[404, 400]),
        (format!("{good}{good}\0{good}"), &[404, 404, 400]),
        (format!("{bad}{good}"), &[400]),
        (format!("{}{bad}", good.repeat(40)), &[[404; 40].as_slice(), &[400]].concat()),
    ] {
        let heard = super::send(&app, text.as_bytes(), statuses.len());
        assert_eq!(heard.statuses(), statuses, "{text}");
        assert_eq!(heard.closed, statuses.contains(&400), "{text}");
    }
}
