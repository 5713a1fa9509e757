//! A store that is not there: a volume that was not mounted must not be taken for an empty register.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use crate::suites::cli::check::{Variables, command, ended, picture};
use crate::suites::cli::program::{run, stderr, stdout};
use crate::suites::cli::records::list;
use crate::support::process::{Fixture, Service};

const CREATE: &str = "VIRKSOMHEDSLOGIN__STORE__CREATE";
const PATH: &str = "VIRKSOMHEDSLOGIN__STORE__PATH";

/// Makes a directory that holds no whole store.
type Prepare = fn(&Fixture);

/// What a directory without a store may look like.
const ABSENT: [(&str, Prepare); 5] = [
    ("missing", |_| ()),
    ("empty", |fixture| fs::create_dir(fixture.path("store")).unwrap()),
    ("root of a new file system", |fixture| fs::create_dir_all(fixture.path("store/lost+found")).unwrap()),
    ("half made", |fixture| {
        fs::create_dir(fixture.path("store")).unwrap();
        fixture.write("store/creating", "");
    }),
    ("parent missing", |fixture| {
        fixture.write("virksomhedslogin.toml", &config(fixture).replace("\"store\"", "\"volume/store\""));
    }),
];

fn config(fixture: &Fixture) -> String {
    fs::read_to_string(fixture.config()).unwrap()
}

/// Every command that opens the store, with what it wants besides the configuration.
fn commands(fixture: &Fixture) -> BTreeMap<&'static str, Vec<String>> {
    let input = fixture.path("list.ndjson").display().to_string();
    [("serve", vec![]), ("check", vec![]), ("verify", vec![]), ("export", vec![]), ("import", vec![input])]
        .into_iter()
        .collect()
}

#[test]
fn absent_store_is_made_by_no_command_without_create() {
    for (name, prepare) in ABSENT {
        let fixture = Fixture::new();
        prepare(&fixture);
        fixture.write("virksomhedslogin.toml", &format!("store.create = false\n{}", config(&fixture)));
        fixture.write("list.ndjson", &list(3));
        let before = picture(fixture.directory.path());
        for (what, arguments) in commands(&fixture) {
            let mut command = command(what, &fixture.config(), &[]);
            command.args(arguments);
            let output = ended(command);
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{name}, {what}: {text}");
            assert!(text.contains("no store at ") && text.contains("/store"), "{name}, {what}: {text}");
            if ["serve", "check", "import"].contains(&what) {
                let help = "store.create = false";
                assert!(text.contains(help) && text.contains("mount"), "{name}, {what}: {text}");
            }
            // Not even the audit file: it may lie on the same volume.
            assert!(before == picture(fixture.directory.path()), "{name}: {what} made something");
        }
    }
}

#[test]
fn store_made_once_is_served_without_create() {
    let fixture = Fixture::new();
    fixture.write("virksomhedslogin.toml", &format!("store.create = false\n{}", config(&fixture)));
    fixture.write("list.ndjson", &list(3));
    let mut import = command("import", &fixture.config(), &[(CREATE, "true")]);
    import.arg(fixture.path("list.ndjson"));
    let made = ended(import);
    assert_eq!(stdout(&made), "read: 3\nskipped: 0\nchanged: 3\n", "{}", stderr(&made));
    assert_eq!(fixture.serve().get("/v1/Login?cvrNummer=00000007").0, 200);
    let checked = run(&["check", "--config", &fixture.config()]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
}

#[test]
fn create_is_for_the_embedded_store_alone() {
    let fixture = Fixture::new();
    fixture.write("virksomhedslogin.toml", &format!("store.create = false\n{}", config(&fixture)));
    fixture.write("list.ndjson", &list(3));
    let mut import = command("import", &fixture.config(), &[]);
    import.arg(fixture.path("list.ndjson"));
    let output = ended(import);
    let code = if fixture.store.url().is_none() { 1 } else { 0 };
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
}

/// What `check` says, and what `serve` then logs, of a store that is about to be made.
fn texts(fixture: &Fixture, variables: Variables<'_>) -> [String; 2] {
    let checked = ended(command("check", &fixture.config(), variables));
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    let mut started = command("serve", &fixture.config(), variables);
    started.env("RUST_LOG", "info");
    let mut child =
        started.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut log = String::new();
    for line in std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().unwrap())) {
        let line = line.unwrap();
        log.push_str(&line);
        log.push('\n');
        if line.contains("listens on ") {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    [stdout(&checked).to_owned(), log]
}

#[test]
fn new_store_beside_signs_of_an_earlier_one_is_a_warning() {
    let signs: [(&str, &str, bool); 4] = [
        ("audit.ndjson", "{\"tid\":\"2026-11-23T08:15:30.123Z\"}\n", true),
        ("audit.ndjson", "", false),
        ("store-made", "", true),
        ("unrelated", "x\n", false),
    ];
    for (name, content, warns) in signs {
        let fixture = Fixture::new();
        fixture.write(name, content);
        for text in texts(&fixture, &[]) {
            let reported = text.contains(&format!("although {}", fixture.path(name).display()));
            assert_eq!(reported, warns, "{name}: {text}");
            if warns {
                assert!(text.contains("is its volume mounted?"), "{name}: {text}");
            }
        }
        // Now the store is there, and nothing is said of it.
        for text in texts(&fixture, &[]) {
            assert!(!text.contains("although"), "{name}: {text}");
        }
    }
}

#[test]
fn dangling_link_is_refused_before_anything_is_made() {
    let cases: [(&str, Variables<'_>, &str); 4] = [
        ("store", &[], "store"),
        ("volume", &[(PATH, "volume/store")], "volume"),
        ("audit.ndjson", &[], "audit.ndjson"),
        ("log", &[("VIRKSOMHEDSLOGIN__AUDIT__FILE", "log/audit.ndjson")], "log"),
    ];
    for (link, variables, named) in cases {
        let fixture = Fixture::new();
        symlink(fixture.path("not-mounted"), fixture.path(link)).unwrap();
        let before = picture(fixture.directory.path());
        for what in ["check", "serve"] {
            let output = ended(command(what, &fixture.config(), variables));
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{link}, {what}: {text}");
            let words = format!("{} is a symbolic link to ", fixture.path(named).display());
            assert!(text.contains(&words), "{link}, {what}: {text}");
            let after = picture(fixture.directory.path());
            let made: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
            assert!(made.is_empty(), "{link}: {what} made {made:?}");
        }
    }
}

#[test]
fn link_to_a_directory_that_is_there_is_followed() {
    let fixture = Fixture::new();
    for (link, volume) in [("store", "volume"), ("log", "logs")] {
        fs::create_dir(fixture.path(volume)).unwrap();
        symlink(fixture.path(volume), fixture.path(link)).unwrap();
    }
    symlink(fixture.path("logs/real.ndjson"), fixture.path("audit.ndjson")).unwrap();
    fixture.write("logs/real.ndjson", "");
    let service: Service = fixture.serve();
    assert_eq!(service.put("12345678").unwrap(), 204);
    assert!(fixture.path("volume/format").exists());
    assert!(!fs::read(fixture.path("logs/real.ndjson")).unwrap().is_empty());
}
