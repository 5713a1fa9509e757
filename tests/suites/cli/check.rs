//! `check` finds, before a restart, what would stop it: each fault is shown to `check` first, then to `serve`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::suites::cli::program::{run, stderr, stdout};
use crate::support::process::{Fixture, binary};

/// Variables over the fixture's configuration.
pub(super) type Variables<'a> = &'a [(&'a str, &'a str)];

/// A command that must end by itself; one that does not is killed, and the test fails.
pub(super) fn ended(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("it started although it should not have:\n{}", stderr(&output));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

pub(super) fn command(what: &str, config: &str, variables: Variables<'_>) -> Command {
    let mut command = binary();
    command.args([what, "--config", config]).envs(variables.iter().copied());
    command
}

pub(super) fn check(fixture: &Fixture, variables: Variables<'_>) -> Output {
    ended(command("check", &fixture.config(), variables))
}

/// Every path below, with what kind it is, its mode, and its bytes.
pub(super) fn picture(directory: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut seen = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let file = path.symlink_metadata().unwrap();
        let bytes = if file.is_file() { fs::read(&path).unwrap() } else { vec![] };
        if file.is_dir() {
            seen.extend(picture(&path));
        }
        seen.insert(path, (file.permissions().mode(), bytes));
    }
    seen
}

/// `check` changes nothing, reports what `serve` then reports, and ends with the same code.
fn predicted(name: &str, fixture: &Fixture, variables: Variables<'_>, code: i32, words: &[&str]) {
    let before = picture(fixture.directory.path());
    let checked = check(fixture, variables);
    assert!(before == picture(fixture.directory.path()), "{name}: check changed something");
    let reported = stderr(&checked);
    assert_eq!(checked.status.code(), Some(code), "{name}: {reported}");
    words.iter().for_each(|word| assert!(reported.contains(word), "{name}: {word} in {reported}"));

    let served = ended(command("serve", &fixture.config(), variables));
    let reason =
        stderr(&served).rsplit_once("error: ").unwrap_or_else(|| panic!("{name}: {served:?}")).1.trim();
    assert_eq!(served.status.code(), Some(code), "{name}: {reason}");
    assert!(reported.contains(reason), "{name}: serve says\n{reason}\nand check\n{reported}");
}

/// A fixture whose store has been written and closed.
pub(super) fn fixture_with_store() -> Fixture {
    let fixture = Fixture::new();
    let mut service = fixture.serve();
    assert_eq!(service.put("12345678").unwrap(), 204);
    service.signal("TERM");
    service.wait(Duration::from_secs(10));
    fixture
}

#[test]
fn what_the_machine_refuses_is_predicted_with_exit_code_1() {
    let cases: [(&str, Variables<'_>, &[&str]); 8] = [
        (
            "the audit file's directory is missing",
            &[("VIRKSOMHEDSLOGIN__AUDIT__FILE", "absent/audit.ndjson")],
            &["audit.file: ", "No such file"],
        ),
        (
            "the audit file is a directory",
            &[("VIRKSOMHEDSLOGIN__AUDIT__FILE", "directory")],
            &["Is a directory"],
        ),
        (
            "the API's address is another machine's",
            &[("VIRKSOMHEDSLOGIN__SERVER__LISTEN", "192.0.2.1:18080")],
            &["server.listen: cannot listen on 192.0.2.1:18080: Cannot assign"],
        ),
        (
            "the management address is another machine's",
            &[("VIRKSOMHEDSLOGIN__SERVER__MANAGEMENT", "192.0.2.1:19090")],
            &["server.management: cannot listen on 192.0.2.1:19090: Cannot assign"],
        ),
        (
            "the socket's directory is missing",
            &[("VIRKSOMHEDSLOGIN__SERVER__LISTEN", "unix:absent/api.sock")],
            &["absent/api.sock", "No such file"],
        ),
        (
            "a file stands in the socket's place",
            &[("VIRKSOMHEDSLOGIN__SERVER__LISTEN", "unix:access.toml")],
            &["access.toml", "Address already in use"],
        ),
        (
            "the store is below a file",
            &[("VIRKSOMHEDSLOGIN__STORE__PATH", "access.toml/store")],
            &["Not a directory"],
        ),
        (
            "two at once",
            &[
                ("VIRKSOMHEDSLOGIN__AUDIT__FILE", "absent/audit.ndjson"),
                ("VIRKSOMHEDSLOGIN__SERVER__LISTEN", "192.0.2.1:18080"),
            ],
            &["2 errors would stop the service", "audit.file: ", "server.listen: "],
        ),
    ];
    for (name, variables, words) in cases {
        let fixture = Fixture::new();
        if fixture.store.url().is_some() && variables[0].0 == "VIRKSOMHEDSLOGIN__STORE__PATH" {
            continue;
        }
        fs::create_dir(fixture.path("directory")).unwrap();
        predicted(name, &fixture, variables, 1, words);
    }
}

/// The text of a format file of this version, with the checksum that fits.
fn format_of(version: u32) -> String {
    let body = format!("virksomhedslogin store\nversion {version}\nid {}\n", "07".repeat(16));
    format!("{body}sha256 {}\n", data_encoding::HEXLOWER.encode(&Sha256::digest(&body)))
}

/// What is wrong, how it is done to a store, and the words that report it.
type Spoilt = (&'static str, fn(&Path), &'static [&'static str]);

#[test]
fn foreign_or_damaged_store_is_predicted_with_exit_code_3() {
    let spoil: [Spoilt; 9] = [
        (
            "a newer format",
            |store| fs::write(store.join("format"), format_of(3)).unwrap(),
            &[
                "has format version 3, expected version 2",
                "start the version of virksomhedslogin that wrote it",
                "export",
            ],
        ),
        (
            "an unreadable format file",
            |store| fs::write(store.join("format"), "virksomhedslogin store\nversion 1\n").unwrap(),
            &["an unreadable format file", "restore the latest export"],
        ),
        ("no format file", |store| fs::remove_file(store.join("format")).unwrap(), &["no format file"]),
        ("no witness", |store| fs::remove_file(store.join("witness")).unwrap(), &["no witness"]),
        (
            "a short witness",
            |store| fs::write(store.join("witness"), "short").unwrap(),
            &["a high-water mark of 5 bytes"],
        ),
        (
            "a witness that cannot be read",
            |store| fs::write(store.join("witness"), [0; 8192]).unwrap(),
            &["no readable slot"],
        ),
        ("no database", |store| fs::remove_file(store.join("sled-v2/db")).unwrap(), &["no sled-v2/db"]),
        (
            "somebody else's directory",
            |store| {
                fs::remove_dir_all(store).unwrap();
                fs::create_dir(store).unwrap();
                fs::write(store.join("letters.txt"), "x").unwrap();
            },
            &["is not a store of virksomhedslogin and is left untouched: found letters.txt"],
        ),
        (
            "a file in its place",
            |store| {
                fs::remove_dir_all(store).unwrap();
                fs::write(store, "x").unwrap();
            },
            &["found a file"],
        ),
    ];
    for (name, spoil, words) in spoil {
        let fixture = fixture_with_store();
        spoil(&fixture.path("store"));
        predicted(name, &fixture, &[], 3, words);
    }
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("store")).unwrap();
    let inside = [("VIRKSOMHEDSLOGIN__AUDIT__FILE", "store/audit.ndjson")];
    predicted("the audit file in the store to be made", &fixture, &inside, 3, &["found audit.ndjson"]);
}

#[test]
fn unusable_keys_or_store_kind_are_predicted_with_exit_code_2() {
    for (name, keys) in [
        ("no keys", r#"{"keys":[]}"#),
        ("no JSON", "-----BEGIN PUBLIC KEY-----"),
        (
            "a shared secret alone",
            r#"{"keys":[{"kty":"oct","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}]}"#,
        ),
    ] {
        let fixture = Fixture::new();
        fixture.write("jwks.json", keys);
        predicted(name, &fixture, &[], 2, &["token.jwks: "]);
    }
    let fixture = Fixture::new();
    let text = fs::read_to_string(fixture.config()).unwrap();
    let postgres = "store.kind = \"postgres\"\nstore.url = \"postgresql://u:hunter2@db:many/x\"";
    fixture.write("virksomhedslogin.toml", &text.replace(&fixture.store.configuration(), postgres));
    predicted("postgres", &fixture, &[], 2, &["store.url: "]);
    assert!(!stderr(&check(&fixture, &[])).contains("hunter2"));
}

/// name → the lines that report its faults.
fn expected(directory: &str) -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(Path::new(directory).join("expected.txt")).unwrap();
    text.split("== ")
        .skip(1)
        .map(|entry| {
            let (name, lines) = entry.split_once('\n').unwrap();
            (name.to_owned(), lines.lines().map(str::to_owned).collect())
        })
        .collect()
}

#[test]
fn every_fixture_is_told_by_check_and_by_serve_with_exit_code_2() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    let fixture = Fixture::new();
    let mut tried = 0;
    for (directory, variable) in [("config", None), ("access", Some("VIRKSOMHEDSLOGIN__ACCESS__FILE"))] {
        let directory = format!("{root}/{directory}");
        for (name, lines) in expected(&directory) {
            let file = format!("{directory}/{name}.toml");
            let (config, variables) = match variable {
                None => (file, vec![]),
                Some(variable) => (fixture.config(), vec![(variable, file.as_str())]),
            };
            for what in ["check", "serve"] {
                let output = ended(command(what, &config, &variables));
                let reported = stderr(&output).replace(&format!("{directory}/"), "");
                assert_eq!(output.status.code(), Some(2), "{what} {name}: {reported}");
                for line in &lines {
                    // A table that cannot be read at all is reported as a fault of the key that names it.
                    let line = if variable.is_some() { line.split_once(": ").unwrap().1 } else { line };
                    assert!(reported.contains(line), "{what} {name}: {line}\nin {reported}");
                }
            }
            tried += 1;
        }
    }
    assert!(tried > 80, "{tried} fixtures");
    assert!(!Path::new(&format!("{root}/config/data")).exists(), "no store was made");
}

#[test]
fn errors_are_reported_together_and_configuration_sets_the_code() {
    let fixture = fixture_with_store();
    fs::remove_file(fixture.path("store/witness")).unwrap();
    let audit = ("VIRKSOMHEDSLOGIN__AUDIT__FILE", "absent/audit.ndjson");
    let two = check(&fixture, &[audit]);
    assert_eq!(two.status.code(), Some(3), "{}", stderr(&two));
    let three = check(&fixture, &[audit, ("VIRKSOMHEDSLOGIN__LOG__FORMAT", "xml")]);
    assert_eq!(three.status.code(), Some(2));
    let reported = stderr(&three);
    assert!(reported.starts_with("error: 3 errors would stop the service\n"), "{reported}");
    for part in ["log.format", "audit.file", "no witness"] {
        assert!(reported.contains(part), "{part} in {reported}");
    }
    assert_eq!(stderr(&two).lines().count(), 3, "a line each: {}", stderr(&two));
}

#[test]
fn an_audit_pipe_without_a_reader_does_not_hold_the_check_up() {
    let fixture = Fixture::new();
    let pipe = fixture.path("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let reported = check(&fixture, &[("VIRKSOMHEDSLOGIN__AUDIT__FILE", "pipe")]);
    assert_eq!(reported.status.code(), Some(1), "{}", stdout(&reported));
    assert!(stderr(&reported).contains("audit.file: "), "{}", stderr(&reported));
    let absent = run(&["check", "--config", &fixture.path("absent.toml").display().to_string()]);
    assert_eq!(absent.status.code(), Some(2));
}

#[test]
fn a_newer_store_is_refused_by_every_command_and_left_as_it_is() {
    let fixture = fixture_with_store();
    fs::write(fixture.path("store/format"), format_of(3)).unwrap();
    fixture.write("list.csv", "cvrNummer,tidligsteLoginTidspunkt,senesteLogintidspunkt\n");
    // A process that tries to open it writes its process id into the lock; nothing else may change.
    let store = || {
        let mut files = picture(&fixture.path("store"));
        files.remove(&fixture.path("store/lock"));
        files
    };
    let before = store();
    for what in ["serve", "verify", "export", "import", "check"] {
        let mut command = command(what, &fixture.config(), &[]);
        if what == "import" {
            command.arg(fixture.path("list.csv"));
        }
        let refused = ended(command);
        let reported = stderr(&refused);
        assert_eq!(refused.status.code(), Some(3), "{what}: {reported}");
        assert!(
            reported.contains("has format version 3, expected version 2; start the version"),
            "{what}: {reported}"
        );
        assert!(store() == before, "{what} changed the store");
    }
}
