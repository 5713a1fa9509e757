//! A store that is not there: a volume that was not mounted must not be taken for an empty register.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;

use crate::check::{Variables, command, ended, picture};
use crate::process::{Service, Site, run, stderr, stdout};
use crate::records::list;

const CREATE: &str = "VIRKSOMHEDSLOGIN__STORE__CREATE";
const PATH: &str = "VIRKSOMHEDSLOGIN__STORE__PATH";

/// Makes a directory that holds no whole store.
type Prepare = fn(&Site);

/// What a directory without a store may look like.
const ABSENT: [(&str, Prepare); 5] = [
    ("missing", |_| ()),
    ("empty", |site| fs::create_dir(site.path("store")).unwrap()),
    ("root of a new file system", |site| fs::create_dir_all(site.path("store/lost+found")).unwrap()),
    ("half made", |site| {
        fs::create_dir(site.path("store")).unwrap();
        site.write("store/creating", "");
    }),
    ("parent missing", |site| {
        site.write("virksomhedslogin.toml", &config(site).replace("\"store\"", "\"volume/store\""));
    }),
];

fn config(site: &Site) -> String {
    fs::read_to_string(site.config()).unwrap()
}

/// Every command that opens the store, with what it wants besides the configuration.
fn commands(site: &Site) -> BTreeMap<&'static str, Vec<String>> {
    let input = site.path("list.ndjson").display().to_string();
    [("serve", vec![]), ("check", vec![]), ("verify", vec![]), ("export", vec![]), ("import", vec![input])]
        .into_iter()
        .collect()
}

#[test]
fn absent_store_is_made_by_no_command_without_create() {
    for (name, prepare) in ABSENT {
        let site = Site::new();
        prepare(&site);
        site.write("virksomhedslogin.toml", &format!("store.create = false\n{}", config(&site)));
        site.write("list.ndjson", &list(3));
        let before = picture(site.folder.path());
        for (what, arguments) in commands(&site) {
            let mut command = command(what, &site.config(), &[]);
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
            assert!(before == picture(site.folder.path()), "{name}: {what} made something");
        }
    }
}

#[test]
fn store_made_once_is_served_without_create() {
    let site = Site::new();
    site.write("virksomhedslogin.toml", &format!("store.create = false\n{}", config(&site)));
    site.write("list.ndjson", &list(3));
    let mut import = command("import", &site.config(), &[(CREATE, "true")]);
    import.arg(site.path("list.ndjson"));
    let made = ended(import);
    assert_eq!(stdout(&made), "read: 3\nskipped: 0\nchanged: 3\n", "{}", stderr(&made));
    assert_eq!(site.serve().get("/v1/Login?cvrNummer=00000007").0, 200);
    let checked = run(&["check", "--config", &site.config()]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
}

#[test]
fn create_is_for_the_embedded_store_alone() {
    let site = Site::new();
    site.write("virksomhedslogin.toml", &format!("store.create = false\n{}", config(&site)));
    site.write("list.ndjson", &list(3));
    let mut import = command("import", &site.config(), &[]);
    import.arg(site.path("list.ndjson"));
    let output = ended(import);
    let code = if site.place.is_embedded() { 1 } else { 0 };
    assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
}

/// What `check` says, and what `serve` then logs, of a store that is about to be made.
fn texts(site: &Site, variables: Variables<'_>) -> [String; 2] {
    let checked = ended(command("check", &site.config(), variables));
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    let mut started = command("serve", &site.config(), variables);
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
        let site = Site::new();
        site.write(name, content);
        for text in texts(&site, &[]) {
            let told = text.contains(&format!("although {}", site.path(name).display()));
            assert_eq!(told, warns, "{name}: {text}");
            if warns {
                assert!(text.contains("is its volume mounted?"), "{name}: {text}");
            }
        }
        // Now the store is there, and nothing is said of it.
        for text in texts(&site, &[]) {
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
        let site = Site::new();
        symlink(site.path("not-mounted"), site.path(link)).unwrap();
        let before = picture(site.folder.path());
        for what in ["check", "serve"] {
            let output = ended(command(what, &site.config(), variables));
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{link}, {what}: {text}");
            let words = format!("{} is a symbolic link to ", site.path(named).display());
            assert!(text.contains(&words), "{link}, {what}: {text}");
            let after = picture(site.folder.path());
            let made: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
            assert!(made.is_empty(), "{link}: {what} made {made:?}");
        }
    }
}

#[test]
fn link_to_a_directory_that_is_there_is_followed() {
    let site = Site::new();
    for (link, volume) in [("store", "volume"), ("log", "logs")] {
        fs::create_dir(site.path(volume)).unwrap();
        symlink(site.path(volume), site.path(link)).unwrap();
    }
    symlink(site.path("logs/real.ndjson"), site.path("audit.ndjson")).unwrap();
    site.write("logs/real.ndjson", "");
    let service: Service = site.serve();
    assert_eq!(service.put("12345678").unwrap(), 204);
    assert!(site.path("volume/format").exists());
    assert!(!fs::read(site.path("logs/real.ndjson")).unwrap().is_empty());
}
