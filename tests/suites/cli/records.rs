//! `export`, `import`, `verify`: what goes out comes in again, and nothing wrong goes in.

use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::suites::cli::program::{run, stderr, stdout};
use crate::support::process::{Fixture, agent, binary, put};

pub(super) const FIRST: &str = "2026-11-23T08:15:30.123Z";
pub(super) const LAST: &str = "2026-11-23T09:00:00.000Z";

pub(super) fn row(cvr: u32, first: &str, last: &str) -> String {
    format!(
        "{{\"cvrNummer\":\"{cvr:08}\",\"tidligsteLoginTidspunkt\":\"{first}\",\"senesteLogintidspunkt\":\"{last}\"}}\n"
    )
}

pub(super) fn with_trailer(rows: &str) -> String {
    let hash: String = Sha256::digest(rows).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{rows}{{\"antal\":{},\"sha256\":\"{hash}\"}}\n", rows.lines().count())
}

/// An export of so many companies, as the service would write it.
pub(super) fn list(count: u32) -> String {
    with_trailer(&(0..count).map(|number| row(number * 7, FIRST, LAST)).collect::<String>())
}

pub(super) fn command(fixture: &Fixture, name: &str, arguments: &[&str]) -> Output {
    run(&[&[name, "--config", &fixture.config()], arguments].concat())
}

pub(super) fn import(fixture: &Fixture, file: &str, text: &str, options: &[&str]) -> Output {
    fixture.write(file, text);
    let file = fixture.path(file).display().to_string();
    command(fixture, "import", &[options, &[&file]].concat())
}

pub(super) fn exported(fixture: &Fixture) -> String {
    let output = command(fixture, "export", &[]);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), ""));
    stdout(&output).to_owned()
}

pub(super) fn assert_ended(output: &Output, code: i32, words: &[&str]) {
    let reported = stderr(output);
    assert_eq!(output.status.code(), Some(code), "{reported}");
    words.iter().for_each(|word| assert!(reported.contains(word), "{word} in\n{reported}"));
}

/// How a command says that there is no store yet.
pub(super) fn none(fixture: &Fixture) -> &'static str {
    if fixture.store.url().is_none() { "no store at" } else { "has no tables of virksomhedslogin" }
}

#[test]
fn an_export_imported_into_a_new_site_is_exported_the_same() {
    let (one, other) = (Fixture::new(), Fixture::new());
    let text = list(2_000);
    let first = import(&one, "list.ndjson", &text, &[]);
    assert_eq!((first.status.code(), stderr(&first)), (Some(0), ""));
    assert_eq!(stdout(&first), "read: 2000\nskipped: 0\nchanged: 2000\n");
    assert_eq!(exported(&one), text);
    let file = one.path("out.ndjson");
    let to_file = command(&one, "export", &["--output", &file.display().to_string()]);
    assert_eq!((to_file.status.code(), stdout(&to_file)), (Some(0), ""), "{}", stderr(&to_file));
    assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600);
    assert_eq!(
        import(&other, "list.ndjson", &std::fs::read_to_string(file).unwrap(), &[]).status.code(),
        Some(0)
    );
    assert_eq!(exported(&other), text);
}

#[test]
fn the_same_import_again_changes_nothing_and_a_merge_widens() {
    let fixture = Fixture::new();
    let text = list(300);
    import(&fixture, "list.ndjson", &text, &[]);
    let verified = stdout(&command(&fixture, "verify", &[])).to_owned();
    let again = import(&fixture, "list.ndjson", &text, &[]);
    assert_eq!(stdout(&again), "read: 300\nskipped: 0\nchanged: 0\n");
    assert_eq!(stdout(&command(&fixture, "verify", &[])), verified, "not even the sequence");

    let wider = with_trailer(&(row(0, "2020-01-01T00:00:00.000Z", FIRST) + &row(7, FIRST, FIRST)));
    let merged = import(&fixture, "wider.ndjson", &wider, &[]);
    assert_eq!(stdout(&merged), "read: 2\nskipped: 0\nchanged: 1\n");
    assert!(exported(&fixture).starts_with(&row(0, "2020-01-01T00:00:00.000Z", LAST)));
}

#[test]
fn import_killed_at_any_time_is_completed_by_repeating_it() {
    let fixture = Fixture::new();
    let text = list(30_000);
    fixture.write("list.ndjson", &text);
    let file = fixture.path("list.ndjson").display().to_string();
    let (mut wait, mut kills) = (Duration::from_millis(2), 0);
    loop {
        let mut child = binary()
            .args(["import", "--config", &fixture.config(), &file])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(wait);
        if child.try_wait().unwrap().is_some() {
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        wait = wait * 4 / 3;
        // Whatever the time, what is there is whole.
        let verified = command(&fixture, "verify", &[]);
        assert!(
            verified.status.success() || stderr(&verified).contains(none(&fixture)),
            "{}",
            stderr(&verified)
        );
    }
    assert!(kills > 5, "{kills}");
    let done = command(&fixture, "import", &[&file]);
    assert_ended(&done, 0, &[]);
    assert_eq!(exported(&fixture), text);
    assert_ended(&command(&fixture, "verify", &[]), 0, &[]);
}

#[test]
fn bad_lines_are_reported_with_their_numbers_and_nothing_is_written() {
    let good = row(12_345_678, FIRST, LAST);
    let cases = [
        ("nonsense\n".to_owned(), "line 2: not a JSON object"),
        ("{\"cvrNummer\":\"12345678\"}\n".to_owned(), "line 2: tidligsteLoginTidspunkt is missing"),
        (good.replace("12345678", "1234567"), "line 2: cvrNummer"),
        (good.replace("12345678", "1234567x"), "line 2: cvrNummer"),
        (good.replace(FIRST, "2026-11-23"), "line 2: tidligsteLoginTidspunkt"),
        (good.replace(LAST, "2026-02-30T09:00:00.000Z"), "line 2: senesteLogintidspunkt"),
        (row(1, LAST, FIRST), "line 2: the first login lies after the latest one"),
    ];
    for (line, reported) in cases {
        let fixture = Fixture::new();
        let text = with_trailer(&format!("{}{line}{}", row(1, FIRST, LAST), row(2, FIRST, LAST)));
        let refused = import(&fixture, "list.ndjson", &text, &[]);
        assert_ended(&refused, 1, &[reported, "nothing is written"]);
        assert_eq!(stdout(&refused), "");
        assert!(!fixture.path("store").exists(), "a refused import makes no store");
        let skipped = import(&fixture, "list.ndjson", &text, &["--skip-bad"]);
        assert_ended(&skipped, 0, &[reported, "left out"]);
        assert_eq!(stdout(&skipped), "read: 2\nskipped: 1\nchanged: 2\n");
        assert_eq!(exported(&fixture), with_trailer(&(row(1, FIRST, LAST) + &row(2, FIRST, LAST))));
    }
}

#[test]
fn a_hundred_bad_lines_are_reported_and_the_others_counted() {
    let fixture = Fixture::new();
    let refused = import(&fixture, "list.ndjson", &with_trailer(&"x\n".repeat(250)), &[]);
    assert_ended(&refused, 1, &["line 1: ", "line 100: ", "and 150 more bad lines"]);
    assert!(!stderr(&refused).contains("line 101: "));
}

#[test]
fn a_trailer_that_is_cut_off_or_changed_is_refused() {
    let text = list(3);
    let (rows, trailer) = text.split_at(text.find("{\"antal").unwrap());
    let cases = [
        (rows.to_owned(), "without its trailer"),
        (text[129..].to_owned(), "promises 3 records, the file has 2"),
        (text.replacen(FIRST, "2026-11-23T08:15:30.124Z", 1), "sha256"),
        (text.replace("\"antal\":3", "\"antal\":4"), "promises 4 records"),
        (format!("{text}{}", row(99, FIRST, LAST)), "after the trailer"),
        (text[..text.len() - 10].to_owned(), "line 4: not readable"),
        (String::new(), "without its trailer"),
    ];
    for (text, reported) in cases {
        let fixture = Fixture::new();
        assert_ended(&import(&fixture, "list.ndjson", &text, &[]), 1, &[reported]);
        let skipping = import(&fixture, "list.ndjson", &text, &["--skip-bad"]);
        assert_eq!(skipping.status.code(), Some(1), "a trailer is never skipped: {reported}");
        assert!(!fixture.path("store").exists());
    }
    let fixture = Fixture::new();
    let foreign = import(&fixture, "list.ndjson", rows, &["--no-trailer"]);
    assert_eq!(stdout(&foreign), "read: 3\nskipped: 0\nchanged: 3\n", "{}", stderr(&foreign));
    assert!(exported(&fixture).ends_with(trailer));
}

#[test]
fn csv_is_read_by_suffix_or_option_and_ndjson_from_stdin() {
    let csv = format!(
        "cvrNummer,senesteLogintidspunkt,tidligsteLoginTidspunkt\r\n00000000,{LAST},{FIRST}\r\n\"00000007\",{LAST},{FIRST}\r\n"
    );
    for (file, options) in [("list.csv", &[][..]), ("LIST.CSV", &[]), ("list.txt", &["--format", "csv"])] {
        let fixture = Fixture::new();
        assert_ended(&import(&fixture, file, &csv, options), 0, &[]);
        assert_eq!(exported(&fixture), list(2));
    }
    let fixture = Fixture::new();
    assert_ended(&import(&fixture, "list.txt", &csv, &[]), 1, &["line 1"]);
    assert_ended(&import(&fixture, "bad.csv", "a,b,c\n1,2,3\n", &[]), 1, &["no column cvrNummer"]);

    let mut child = binary()
        .args(["import", "--config", &fixture.config(), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(list(2).as_bytes()).unwrap();
    assert_eq!(stdout(&child.wait_with_output().unwrap()), "read: 2\nskipped: 0\nchanged: 2\n");
}

#[test]
fn verify_prints_count_span_and_sequence() {
    let fixture = Fixture::new();
    assert_ended(&command(&fixture, "verify", &[]), 1, &[none(&fixture)]);
    assert_ended(&command(&fixture, "export", &[]), 1, &[none(&fixture)]);
    assert!(!fixture.path("store").exists(), "neither makes one");

    assert_ended(&import(&fixture, "none.ndjson", &with_trailer(""), &[]), 0, &[]);
    assert_eq!(
        stdout(&command(&fixture, "verify", &[])),
        "records: 0\nfirst login: none\nlast login: none\nsequence: 0\n"
    );
    assert_eq!(exported(&fixture), with_trailer(""));
    import(&fixture, "list.ndjson", &list(500), &[]);
    let verified = command(&fixture, "verify", &[]);
    assert_eq!((verified.status.code(), stderr(&verified)), (Some(0), ""));
    let text = stdout(&verified);
    let start = format!("records: 500\nfirst login: {FIRST}\nlast login: {LAST}\nsequence: ");
    let sequence: u64 = text.strip_prefix(&start).unwrap().trim_end().parse().unwrap();
    assert!(sequence > 0, "{text}");
}

#[test]
fn damage_is_reported_with_exit_code_3() {
    let fixture = Fixture::new();
    import(&fixture, "list.ndjson", &list(1), &[]);
    std::fs::write(fixture.path("store/format"), "something else").unwrap();
    for name in ["verify", "export"] {
        assert_eq!(command(&fixture, name, &[]).status.code(), Some(3), "{name}");
    }
    assert_eq!(import(&fixture, "list.ndjson", &list(1), &[]).status.code(), Some(3));
}

#[test]
fn a_store_in_use_is_exported_by_asking_the_service() {
    let fixture = Fixture::new();
    import(&fixture, "list.ndjson", &list(10), &[]);
    let service = fixture.serve();
    assert_ended(&command(&fixture, "export", &[]), 1, &["in use", "--from http://"]);
    assert_ended(&command(&fixture, "verify", &[]), 1, &["in use"]);
    assert_ended(&import(&fixture, "list.ndjson", &list(10), &[]), 1, &["in use"]);
    let management = format!("http://{}", service.management);
    let asked = command(&fixture, "export", &["--from", &management]);
    assert_ended(&asked, 0, &[]);
    assert_eq!(stdout(&asked), list(10));
    assert_eq!(stdout(&run(&["export", "--from", &management])), list(10), "no configuration is needed");
    assert_ended(&run(&["export"]), 2, &["--config"]);
    let api = command(&fixture, "export", &["--from", &format!("http://{}", service.address)]);
    assert_ended(&api, 1, &["management listener"]);
    drop(service);
    assert_ended(&command(&fixture, "export", &["--from", &management]), 1, &[&management]);
}

#[test]
fn export_of_a_running_service_is_a_consistent_snapshot() {
    let fixture = Fixture::new();
    import(&fixture, "list.ndjson", &list(30_000), &[]);
    let service = fixture.serve();
    let management = format!("http://{}", service.management);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..4u32)
        .map(|writer| {
            let (address, token) = (service.address.clone(), service.token.clone());
            let (stop, answered) = (Arc::clone(&stop), Arc::clone(&answered));
            std::thread::spawn(move || {
                let agent = agent();
                for at in 0..1_000_000u32 {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    // In the midst of what is exported, old companies and new ones.
                    let cvr = format!("{:08}", (at * 4 + writer) * 17 % 210_000);
                    let body = format!(r#"{{"VirksomhedsLoginDto":{{"cvrNummer":"{cvr}"}}}}"#);
                    assert_eq!(put(&agent, &address, &token, &cvr, &body).unwrap(), 204);
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    let (mut counts, mut last) = (vec![], String::new());
    for round in 0..4 {
        let before = answered.load(Ordering::SeqCst);
        let until = Instant::now() + Duration::from_secs(20);
        while answered.load(Ordering::SeqCst) < before + 20 {
            assert!(Instant::now() < until, "the writers write");
            std::thread::sleep(Duration::from_millis(1));
        }
        let file = format!("export-{round}.ndjson");
        let path = fixture.path(&file).display().to_string();
        assert_ended(&command(&fixture, "export", &["--from", &management, "--output", &path]), 0, &[]);
        let text = std::fs::read_to_string(&path).unwrap();
        let rows = &text[..text.find("{\"antal").unwrap()];
        assert_eq!(text, with_trailer(rows));
        assert!(rows.lines().is_sorted());
        counts.push(rows.lines().count());
        last = text;
    }
    stop.store(true, Ordering::SeqCst);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    assert_ended(&import(&Fixture::new(), "last.ndjson", &last, &[]), 0, &[]);
    assert!(counts.is_sorted() && counts[0] >= 30_000 && counts[3] > counts[0], "{counts:?}");
}

#[test]
fn bad_usage_configuration_and_input_have_their_codes() {
    let fixture = Fixture::new();
    assert_eq!(command(&fixture, "import", &[]).status.code(), Some(2));
    assert_eq!(command(&fixture, "export", &["--from", "https://127.0.0.1:9090"]).status.code(), Some(2));
    assert_ended(&command(&fixture, "import", &["/no/such/file"]), 1, &["/no/such/file cannot be read"]);
    assert_ended(&command(&fixture, "import", &["/"]), 1, &["cannot be read"]);
    let text = std::fs::read_to_string(fixture.config()).unwrap();
    let postgres = text
        .replace(&fixture.store.configuration(), "store.kind = \"postgres\"\nstore.url = \"postgres://x\"");
    fixture.write("virksomhedslogin.toml", &postgres);
    for arguments in [&["export"][..], &["verify"], &["import", "/no/such/file"]] {
        let refused = command(&fixture, arguments[0], &arguments[1..]);
        assert_ended(&refused, 2, &["store.url: no user"]);
    }
    fixture.write("virksomhedslogin.toml", "nonsense");
    for arguments in [&["export"][..], &["verify"], &["import", "/no/such/file"]] {
        assert_eq!(command(&fixture, arguments[0], &arguments[1..]).status.code(), Some(2));
    }
}
