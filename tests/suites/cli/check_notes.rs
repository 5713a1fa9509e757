//! What `check` notes without an error: intended perhaps, and good to know before a restart.

use std::fs;
use std::os::unix::net::UnixListener;

use crate::suites::cli::check::{check, command, fixture_with_store};
use crate::suites::cli::program::{stderr, stdout};
use crate::support::process::Fixture;

#[test]
fn database_on_another_machine_without_tls_is_warned_of() {
    let fixture = Fixture::new();
    let text = fs::read_to_string(fixture.config()).unwrap();
    // An address of documentation: nothing answers there.
    let plain = "store.kind = \"postgres\"\nstore.deadline_seconds = 1\n\
                 store.url = \"host=192.0.2.1 user=u password=hunter2 sslmode=disable\"";
    let config = text.replace(&fixture.store.configuration(), plain);
    let words = "store.url: sslmode=disable sends the password and every login unencrypted";
    fixture.write("virksomhedslogin.toml", &config);
    let checked = check(&fixture, &[]);
    assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
    assert!(stdout(&checked).contains(&format!("note: {words}")), "{}", stdout(&checked));
    let serve =
        || crate::support::process::Service::start(command("serve", &fixture.config(), &[]), fixture.token());
    let reported = serve().log();
    assert!(reported.contains(words) && !reported.contains("hunter2"), "{reported}");
    for local in ["127.0.0.1", "localhost", "/run/nowhere"] {
        fixture.write("virksomhedslogin.toml", &config.replace("192.0.2.1", local));
        assert!(!stdout(&check(&fixture, &[])).contains("unencrypted"), "{local}");
        assert!(!serve().log().contains("unencrypted"), "{local}");
    }
}

#[test]
fn what_the_running_service_holds_is_a_note_and_no_fault() {
    let fixture = Fixture::new();
    let service = fixture.serve();
    let socket = fixture.path("api.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    let held = check(
        &fixture,
        &[
            ("VIRKSOMHEDSLOGIN__SERVER__LISTEN", &service.address),
            ("VIRKSOMHEDSLOGIN__SERVER__MANAGEMENT", &service.management),
        ],
    );
    assert_eq!(held.status.code(), Some(0), "{}", stderr(&held));
    let reported = stdout(&held);
    let mut notes = vec![
        format!("note: server.listen: {} is in use; right if", service.address),
        format!("note: server.management: {} is in use; right if", service.management),
    ];
    if fixture.store.url().is_none() {
        notes.push(format!("is in use by a process ({}); right if", service.child.id()));
    }
    for note in notes {
        assert!(reported.contains(&note), "{note} in {reported}");
    }
    let unix = format!("unix:{}", socket.display());
    let held = check(&fixture, &[("VIRKSOMHEDSLOGIN__SERVER__LISTEN", &unix)]);
    assert_eq!(held.status.code(), Some(0), "{}", stderr(&held));
    assert!(stdout(&held).contains(&format!("a process listens on {unix}")), "{}", stdout(&held));
    assert_eq!(service.put("12345678").unwrap(), 204, "the service goes on");
}

#[test]
fn a_socket_folder_below_run_is_its_supervisors_to_make() {
    let fixture = Fixture::new();
    let directory = format!("/run/virksomhedslogin-{}", std::process::id());
    let reported =
        check(&fixture, &[("VIRKSOMHEDSLOGIN__SERVER__LISTEN", &format!("unix:{directory}/api.sock"))]);
    assert_eq!(reported.status.code(), Some(0), "{}", stderr(&reported));
    assert!(
        stdout(&reported).contains(&format!("note: server.listen: {directory} is not there")),
        "{}",
        stdout(&reported)
    );
}

#[test]
fn a_store_without_a_fault_is_reported_without_a_note() {
    let fixture = fixture_with_store();
    let reported = check(&fixture, &[]);
    assert_eq!(reported.status.code(), Some(0));
    assert_eq!(stdout(&reported), format!("{}: no errors\n", fixture.config()));
    let fixture = Fixture::new();
    let absent = check(&fixture, &[]);
    assert_eq!(absent.status.code(), Some(0));
    let note = if fixture.store.url().is_none() {
        "/store; an empty one will be made"
    } else {
        "lacks tables of ours; those of an empty store will be made"
    };
    assert!(stdout(&absent).contains(note), "{}", stdout(&absent));
}

#[test]
fn proxies_that_are_everyone_or_missing_are_noted() {
    let fixture = fixture_with_store();
    let notes = |variables: &[(&str, &str)]| {
        let checked = check(&fixture, variables);
        assert_eq!(checked.status.code(), Some(0), "{}", stderr(&checked));
        stdout(&checked).to_owned()
    };
    let trusted = "VIRKSOMHEDSLOGIN__SERVER__TRUSTED_PROXIES";
    for network in ["0.0.0.0/0", "::/0"] {
        let noted = notes(&[(trusted, &format!("unix, {network}"))]);
        assert!(
            noted.contains(&format!("note: server.trusted_proxies: {network} trusts every client")),
            "{noted}"
        );
    }
    let required = ("VIRKSOMHEDSLOGIN__TOKEN__CERTIFICATE_BOUND", "required");
    for none in [&[required] as &[_], &[required, (trusted, "")]] {
        let noted = notes(none);
        assert!(
            noted.contains("note: token.certificate_bound: required, but server.trusted_proxies"),
            "{noted}"
        );
    }
    for quiet in [&[required, (trusted, "unix")] as &[_], &[(trusted, "127.0.0.1,10.0.0.0/8,2001:db8::/32")]]
    {
        assert!(!notes(quiet).contains("note: "));
    }
}
