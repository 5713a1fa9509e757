//! A store or audit file that lies where nothing is mounted.

use std::fs;
use std::os::unix::fs::symlink;

use crate::check::{Variables, command, ended, picture};
use crate::process::{Service, Site, stderr};

const PATH: &str = "VIRKSOMHEDSLOGIN__STORE__PATH";

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
