//! `dev`: the printed lines do what they say when they are pasted, and the JSON line says the same to programs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::suites::cli::program::{exists, run, shell, stderr};
use crate::support::process::{agent, binary, signal};

#[test]
fn the_printed_curl_lines_work_as_pasted() {
    if Command::new("curl").arg("--version").output().is_err() {
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

    signal(&child, "INT");
    let store = lines.iter().find_map(|line| line.trim().strip_prefix("store ")).unwrap().trim();
    let store = store.split(" (").next().unwrap().to_owned();
    for _ in 0..500 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!exists(store.as_ref()), "the temporary store is gone");
}

#[test]
fn it_refuses_to_be_reached_from_elsewhere() {
    for address in ["0.0.0.0:8080", "192.0.2.1:8080", "[::]:8080"] {
        let output = run(&["dev", "--listen", address]);
        assert_eq!(output.status.code(), Some(2), "{address}");
        assert!(stderr(&output).contains("loopback"), "{}", stderr(&output));
    }
}

const DEV: [&str; 4] = ["dev", "--listen", "127.0.0.1:0", "--json"];

/// The line that `dev --json` prints at its start; on a terminal the log stands around it.
fn started(child: &mut Child) -> Value {
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let line = lines.find(|line| line.starts_with('{')).expect("a line of JSON");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

fn start(mut command: Command) -> (Child, Value) {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let line = started(&mut child);
    (child, line)
}

fn dev() -> Command {
    let mut command = binary();
    command.args(DEV);
    command
}

fn text<'a>(line: &'a Value, pointer: &str) -> &'a str {
    line.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} is not in {line}"))
}

#[test]
fn json_line_has_addresses_tokens_and_paths() {
    let (mut child, line) = start(dev());
    let (address, fetched) = (text(&line, "/addresses/api"), |url: String| agent().get(url).call().unwrap());
    for (organisation, path, status) in [
        ("STAR", "/v1/Logins", 200),
        ("JobCenter", "/v1/Login?cvrNummer=12345678", 404),
        ("A-kasse", "/v1/Logins", 200),
    ] {
        let request = agent().get(format!("{address}{path}"));
        let token = text(&line, &format!("/tokens/{organisation}"));
        let answer = request.header("Authorization", format!("Bearer {token}")).call().unwrap();
        assert_eq!(answer.status(), status, "{organisation}");
    }
    assert_eq!(fetched(format!("{}/readyz", text(&line, "/addresses/management"))).status(), 200);
    for page in ["/addresses/documentation", "/addresses/swagger"] {
        assert_eq!(fetched(text(&line, page).to_owned()).status(), 200, "{page}");
    }
    for path in ["/paths/store", "/paths/audit", "/paths/configuration"] {
        assert!(exists(text(&line, path).as_ref()), "{path}");
    }
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// `dev` on a pseudo-terminal of its own, kept open by the process that is returned; the management listener's address.
fn on_a_terminal() -> (Child, String) {
    let line = format!("{} {}", env!("CARGO_BIN_EXE_virksomhedslogin"), DEV.join(" "));
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let mut script =
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let address =
        text(&started(&mut script), "/addresses/management").trim_start_matches("http://").to_owned();
    (script, address)
}

#[test]
fn dev_ends_when_its_terminal_closes() {
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
    let (mut child, line) = start(dev());
    signal(&child, "HUP");
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        assert!(std::time::Instant::now() < until, "it goes on after SIGHUP");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(!exists(text(&line, "/paths/store").as_ref()), "the temporary store is gone");
}

#[test]
fn dev_under_nohup_outlives_a_hangup() {
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_virksomhedslogin")).args(DEV);
    let (mut child, _) = start(command);
    signal(&child, "HUP");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(child.try_wait().unwrap(), None, "SIGHUP was ignored before");
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
