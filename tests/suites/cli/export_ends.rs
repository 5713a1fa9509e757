//! Exports that end too early, or go where they cannot.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Stdio;

use crate::suites::cli::records::*;
use crate::support::process::*;

/// A listener that gives this answer to the first who asks; its address.
fn answering(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&answer);
    });
    address
}

#[test]
fn an_export_that_is_cut_off_or_wrong_leaves_the_old_file() {
    let text = list(2_000);
    let cut = &text[..text.len() / 2];
    let changed = text.replacen(FIRST, "2026-11-23T08:15:30.124Z", 1);
    let answer = |length: &str, body: &str| {
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{length}\r\n{body}").into_bytes()
    };
    let cases = [
        (answer(&format!("Content-Length: {}\r\n", text.len()), cut), "cut off after"),
        (answer("", cut), "cut off after"),
        (answer("", &text[..text.len() - 1]), "cut off after 2000 records"),
        (answer("Transfer-Encoding: chunked\r\n", &format!("{:x}\r\n{cut}\r\n", cut.len())), "cut off after"),
        (answer("", &changed), "sha256"),
        (answer("", &text.replace("\"antal\":2000", "\"antal\":2001")), "promises 2001 records"),
        (answer("", &format!("{text}{text}")), "after the trailer"),
        (answer("", "<html>\n</html>\n"), "line 1: not a JSON object"),
        (answer("", ""), "cut off after 0 records"),
        (b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec(), "503"),
        (b"nonsense\r\n\r\n".to_vec(), "export"),
    ];
    let fixture = Fixture::new();
    fixture.write("backup.ndjson", "the old one");
    let file = fixture.path("backup.ndjson").display().to_string();
    let files = fixture.directory.path().read_dir().unwrap().count();
    for (answer, reported) in cases {
        let refused = command(&fixture, "export", &["--from", &answering(answer), "--output", &file]);
        assert_ended(&refused, 1, &[reported]);
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "the old one", "{reported}");
        assert_eq!(fixture.directory.path().read_dir().unwrap().count(), files, "{reported}");
    }
    let whole = command(&fixture, "export", &["--from", &answering(answer("", &text)), "--output", &file]);
    assert_ended(&whole, 0, &[]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn an_export_whose_reader_closes_or_whose_disk_is_full_fails() {
    let fixture = Fixture::new();
    import(&fixture, "list.ndjson", &list(5_000), &[]);
    let mut child = binary()
        .args(["export", "--config", &fixture.config()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_ended(&child.wait_with_output().unwrap(), 1, &["standard output"]);
    let full = binary()
        .args(["export", "--config", &fixture.config()])
        .stdout(std::fs::File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    assert_ended(&full, 1, &["standard output"]);
    for place in ["/dev/full", "/no/such/directory/file"] {
        assert_ended(&command(&fixture, "export", &["--output", place]), 1, &[place]);
    }
}
