//! `dev`: the printed lines do what they say when they are pasted.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use crate::suites::cli::program::{run, shell, stderr};
use crate::support::process::binary;

#[test]
fn the_printed_curl_lines_work_as_pasted() {
    if std::process::Command::new("curl").arg("--version").output().is_err() {
        let _ = writeln!(
            std::io::stderr(),
            "left out: pasting the curl lines of `dev`, because curl is not installed"
        );
        return;
    }
    let mut child = binary()
        .args(["dev", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let last = line.starts_with("A-kasse  ");
        lines.push(line);
        if last {
            break;
        }
    }
    let pairs = lines.windows(2).filter(|pair| pair[1].starts_with("curl "));
    let statuses: Vec<(String, String)> = pairs
        .map(|pair| {
            let answer = shell(&format!("{} -s --max-time 10", pair[1]));
            (pair[0].rsplit(' ').next().unwrap().to_owned(), answer[9..12].to_owned())
        })
        .collect();
    let expected = ["204", "200", "200", "403"].map(|status| (status.to_owned(), status.to_owned()));
    assert_eq!(statuses, expected);

    for (name, title) in
        [("documentation ", "<h1>Virksomhedslogin</h1>"), ("Swagger UI ", "Swagger UI</title>")]
    {
        let address = lines.iter().find_map(|line| line.trim().strip_prefix(name)).unwrap().trim();
        assert!(shell(&format!("curl -s --max-time 10 '{address}'")).contains(title), "{address}");
    }

    crate::support::process::signal(&child, "INT");
    let store = lines.iter().find_map(|line| line.trim().strip_prefix("store ")).unwrap().trim();
    let store = store.split(" (").next().unwrap().to_owned();
    for _ in 0..500 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!crate::suites::cli::program::exists(store.as_ref()), "the temporary store is gone");
}

#[test]
fn it_refuses_to_be_reached_from_elsewhere() {
    for address in ["0.0.0.0:8080", "192.0.2.1:8080", "[::]:8080"] {
        let output = run(&["dev", "--listen", address]);
        assert_eq!(output.status.code(), Some(2), "{address}");
        assert!(stderr(&output).contains("loopback"), "{}", stderr(&output));
    }
}

/// `dev` on a pseudo-terminal of its own, kept open by the process that is returned; the management listener's address.
fn on_a_terminal() -> (std::process::Child, String) {
    let line = format!("{} dev --listen 127.0.0.1:0", env!("CARGO_BIN_EXE_virksomhedslogin"));
    let mut script = std::process::Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(script.stdout.take().unwrap()).lines().map_while(Result::ok);
    let address =
        lines.filter_map(|line| line.trim().strip_prefix("management ").map(str::to_owned)).next().unwrap();
    let address = address.trim().trim_start_matches("http://").trim_end_matches("/readyz").to_owned();
    (script, address)
}

#[test]
fn dev_ends_when_its_terminal_goes_away() {
    let (mut script, address) = on_a_terminal();
    assert!(std::net::TcpStream::connect(&address).is_ok(), "it runs");
    script.kill().unwrap();
    script.wait().unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while std::net::TcpStream::connect(&address).is_ok() {
        assert!(std::time::Instant::now() < until, "it still runs without a terminal");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn dev_ends_on_a_hangup() {
    let mut child = binary()
        .args(["dev", "--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let store = lines.find_map(|line| line.trim().strip_prefix("store ").map(str::to_owned)).unwrap();
    let store = store.trim().split(" (").next().unwrap().to_owned();
    assert!(lines.any(|line| line.starts_with("A-kasse  ")));
    crate::support::process::signal(&child, "HUP");
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        assert!(std::time::Instant::now() < until, "it goes on after SIGHUP");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!crate::suites::cli::program::exists(store.as_ref()), "the temporary store is gone");
}

#[test]
fn dev_under_nohup_outlives_a_hangup() {
    let mut child = std::process::Command::new("nohup")
        .args([env!("CARGO_BIN_EXE_virksomhedslogin"), "dev", "--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("A-kasse  ")));
    crate::support::process::signal(&child, "HUP");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(child.try_wait().unwrap(), None, "SIGHUP was ignored before");
    crate::support::process::signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
