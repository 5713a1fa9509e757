//! `serve` under signals: nothing that was answered 204 is ever lost.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::suites::cli::program::stderr;
use crate::support::process::{Fixture, agent, binary, put};

#[test]
fn sigterm_and_sigint_finish_the_work_and_exit_0() {
    for signal in ["TERM", "INT"] {
        let fixture = Fixture::new();
        let mut service = fixture.serve();
        assert_eq!(service.put("12345678").unwrap(), 204);
        service.signal(signal);
        assert_eq!(service.wait(Duration::from_secs(10)).code(), Some(0), "SIG{signal}");
        let service = fixture.serve();
        assert_eq!(service.get("/v1/Login?cvrNummer=12345678").0, 200);
    }
}

#[test]
fn an_idle_keep_alive_connection_does_not_hold_the_shutdown_up() {
    let fixture = Fixture::new();
    let mut service = fixture.serve_with(&[("VIRKSOMHEDSLOGIN__SERVER__SHUTDOWN_TIMEOUT_SECONDS", "60")]);
    let agent = agent();
    assert_eq!(put(&agent, &service.address, &service.token, "12345678", BODY).unwrap(), 204);
    service.signal("TERM");
    assert_eq!(service.wait(Duration::from_secs(30)).code(), Some(0));
    drop(agent);
}

const BODY: &str = r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678"}}"#;

#[test]
fn every_write_answered_204_is_there_after_kill_9() {
    let fixture = Fixture::new();
    let mut acknowledged = BTreeSet::new();
    for round in 0..5u32 {
        let mut service = fixture.serve();
        for number in &acknowledged {
            assert_eq!(
                service.get(&format!("/v1/Login?cvrNummer={number}")).0,
                200,
                "{number} in round {round}"
            );
        }
        let written = Arc::new(Mutex::new(Vec::new()));
        let writers: Vec<_> = (0..4u32)
            .map(|writer| {
                let (address, token) = (service.address.clone(), service.token.clone());
                let written = Arc::clone(&written);
                std::thread::spawn(move || {
                    let agent = agent();
                    for at in 0..10_000u32 {
                        let cvr = format!("{:08}", round * 1_000_000 + writer * 100_000 + at);
                        let body = format!(r#"{{"VirksomhedsLoginDto":{{"cvrNummer":"{cvr}"}}}}"#);
                        match put(&agent, &address, &token, &cvr, &body) {
                            Ok(204) => written.lock().unwrap().push(cvr),
                            _ => return,
                        }
                    }
                })
            })
            .collect();
        let until = Instant::now() + Duration::from_secs(10);
        while written.lock().unwrap().len() < 40 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        service.child.kill().unwrap();
        service.child.wait().unwrap();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let written = written.lock().unwrap();
        assert!(written.len() >= 40, "the writers wrote before the kill");
        acknowledged.extend(written.iter().cloned());
    }
    let service = fixture.serve();
    let (_, list) = service.get("/v1/Logins");
    for number in &acknowledged {
        assert!(list.contains(number.as_str()), "{number} was answered 204");
    }
}

#[test]
fn second_process_on_the_same_store_fails_within_two_seconds() {
    let fixture = Fixture::new();
    let service = fixture.serve();
    let took = [(); 3].map(|()| {
        let started = Instant::now();
        let second = binary().args(["serve", "--config", &fixture.config()]).output().unwrap();
        assert_eq!(second.status.code(), Some(1));
        assert!(stderr(&second).contains("in use"), "{}", stderr(&second));
        started.elapsed()
    });
    assert!(took.iter().any(|took| *took < Duration::from_secs(2)), "{took:?}");
    assert_eq!(service.put("12345678").unwrap(), 204, "the first one goes on");
}

#[test]
fn sighup_reloads_the_table() {
    let fixture = Fixture::new();
    let service = fixture.serve();
    assert_eq!(service.get("/v1/Logins").0, 200);
    fixture.write("access.toml", "version = 1\n");
    service.signal("HUP");
    let until = Instant::now() + Duration::from_secs(5);
    while service.get("/v1/Logins").0 != 403 {
        assert!(Instant::now() < until, "the new table denies everybody");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_log_line_carries_a_token() {
    let fixture = Fixture::new();
    let service = fixture.serve_with(&[("RUST_LOG", "debug")]);
    service.put("12345678").unwrap();
    service.get("/v1/Login?cvrNummer=12345678");
    service.get(&format!("/{}", service.token));
    service.get(&format!("/v1/Login?cvrNummer={}", service.token));
    let log = service.log();
    assert!(log.contains("GetLogin"), "{log}");
    for part in service.token.split('.') {
        assert!(!log.contains(&part[..16]), "{log}");
    }
    let audit = std::fs::read_to_string(fixture.path("audit.ndjson")).unwrap();
    for part in service.token.split('.') {
        assert!(!audit.contains(&part[..16]), "{audit}");
    }
}

#[test]
fn it_listens_on_a_unix_socket() {
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;

    let fixture = Fixture::new();
    let socket = fixture.path("api.sock");
    let mut command = binary();
    command.args(["serve", "--config", &fixture.config()]);
    command.env("VIRKSOMHEDSLOGIN__SERVER__LISTEN", format!("unix:{}", socket.display()));
    // Left behind by a process that died: replaced.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let service = crate::support::process::Service::start(command, fixture.token());
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    let request = format!(
        "GET /v1/Logins HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\r\n",
        service.token
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let audit = std::fs::read_to_string(fixture.path("audit.ndjson")).unwrap();
    assert!(audit.contains(r#""remote":"unix""#), "{audit}");
}
