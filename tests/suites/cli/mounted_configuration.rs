//! Configuration as Kubernetes mounts it: each file is a link through `..data`, which is exchanged as a whole.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use virksomhedslogin::testing::Signer;

use crate::suites::cli::check::{command, ended};
use crate::suites::cli::program::stderr;
use crate::support::process::Fixture;

const AUTHORITY: &str = include_str!("../../fixtures/config/beside/ca.pem");

/// Puts these files in the place of the ones before, as the kubelet does, and removes those.
fn mount(fixture: &Fixture, generation: &str, jwks: &str, access: &str, ca: &str) {
    let before = fs::read_link(fixture.path("..data"));
    fs::create_dir(fixture.path(generation)).unwrap();
    let config = fs::read_to_string(fixture.config()).unwrap();
    let files =
        [("virksomhedslogin.toml", &*config), ("jwks.json", jwks), ("access.toml", access), ("ca.pem", ca)];
    for (name, text) in files {
        fixture.write(&format!("{generation}/{name}"), text);
    }
    symlink(generation, fixture.path("..data_tmp")).unwrap();
    fs::rename(fixture.path("..data_tmp"), fixture.path("..data")).unwrap();
    let Err(_) = before.map(|before| fs::remove_dir_all(fixture.path(before.to_str().unwrap())).unwrap())
    else {
        return;
    };
    for (name, _) in files {
        let _ = fs::remove_file(fixture.path(name));
        symlink(format!("..data/{name}"), fixture.path(name)).unwrap();
    }
}

#[test]
fn exchanged_mounts_are_followed_by_keys_and_at_a_reload_or_start_by_the_rest() {
    let mut fixture = Fixture::new();
    let text = fs::read_to_string(fixture.config()).unwrap();
    fixture.write("virksomhedslogin.toml", &format!("{text}token.ca_file = \"ca.pem\"\n"));
    let access = fs::read_to_string(fixture.path("access.toml")).unwrap();
    mount(&fixture, "..2026_11_28_1", &fixture.signer.jwks(), &access, AUTHORITY);
    let mut service = fixture.serve();
    assert_eq!(service.get("/v1/Logins").0, 200);

    // The keys by themselves, within two seconds and some.
    fixture.signer = Signer::generate_es256("next").unwrap();
    let old = std::mem::replace(&mut service.token, fixture.token());
    mount(&fixture, "..2026_11_28_2", &fixture.signer.jwks(), &access, AUTHORITY);
    let until = Instant::now() + Duration::from_secs(30);
    while service.get("/v1/Logins").0 != 200 {
        assert!(Instant::now() < until, "the new keys are not read:\n{}", service.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    let new = std::mem::replace(&mut service.token, old);
    assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 401, "the old key is gone");
    service.token = new;

    // The access table at SIGHUP.
    mount(&fixture, "..2026_11_28_3", &fixture.signer.jwks(), "version = 1\n", AUTHORITY);
    assert_eq!(service.get("/v1/Logins").0, 200, "not before the signal");
    service.signal("HUP");
    service.wait_for_log("SIGHUP: access table, keys and audit file are reloaded");
    assert_eq!(service.get("/v1/Logins").0, 403);

    // Authorities at the next start, which `check` foresees.
    mount(&fixture, "..2026_11_28_4", &fixture.signer.jwks(), &access, "no certificate");
    assert_eq!(service.management("/readyz").0, 200);
    let check = ended(command("check", &fixture.config(), &[]));
    assert_eq!(check.status.code(), Some(2));
    assert!(stderr(&check).contains("token.ca_file"), "{}", stderr(&check));
}
