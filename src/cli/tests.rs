//! The commands as functions: what they print, and the code they end with.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use clap::CommandFactory;

use super::*;
use crate::settings::access::SHIPPED;

const SOUND: &str = "store.path = \"data\"\naccess.file = \"access.toml\"\n[token]\n\
    issuer = \"https://sts.example.dk\"\naudience = \"v\"\njwks = \"file:jwks.json\"\n\
    organisation_types.8 = \"JobCenter\"\n";

fn ran(arguments: &[&str]) -> (Exit, String, String) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let arguments = ["virksomhedslogin"].iter().chain(arguments).map(OsString::from);
    let exit = run(arguments, &mut output, &mut errors);
    (exit, String::from_utf8(output).unwrap(), String::from_utf8(errors).unwrap())
}

/// A directory with a sound configuration, and the path of the file.
fn configured(text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("virksomhedslogin.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::write(directory.path().join("access.toml"), SHIPPED).unwrap();
    let keys = crate::auth::Signer::generate_es256("test").unwrap().jwks();
    std::fs::write(directory.path().join("jwks.json"), keys).unwrap();
    let file = file.to_str().unwrap().to_owned();
    (directory, file)
}

fn explained(arguments: &[&str]) -> (Exit, String) {
    let (_directory, file) = configured(SOUND);
    let (exit, output, errors) = ran(&[&["explain", "--config", &file], arguments].concat());
    assert_eq!(errors, "");
    (exit, output)
}

#[test]
fn the_help_of_every_command_ends_with_an_example() {
    for command in Arguments::command().get_subcommands() {
        let (exit, output, errors) = ran(&[command.get_name(), "--help"]);
        assert_eq!((exit, errors.as_str()), (Exit::Done, ""), "{}", command.get_name());
        let (_, example) = output.split_once("\nExample:\n").unwrap();
        let begin = format!("  virksomhedslogin {}", command.get_name());
        assert!(example.starts_with(&begin), "{output}");
        assert!(!example.contains("\n\n"), "{output}");
    }
    assert!(ran(&["--help"]).1.contains("Example:\n  virksomhedslogin dev"));
}

#[test]
fn the_declarations_of_arguments_are_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn bad_usage_ends_with_2() {
    for arguments in [
        &[][..],
        &["sreve"],
        &["serve", "--config"],
        &["explain", "--config", "x", "--method", "DeleteLogin", "--organisation", "STAR"],
        &["dev", "--listen", "0.0.0.0:8080"],
        &["dev", "--listen", "localhost:8080"],
        &["health", "--url", "https://127.0.0.1:9090"],
        &["health", "--url", "http://u:p@127.0.0.1:9090"],
        &["health", "--url", "http://127.0.0.1:9090/readyz"],
        &["health", "--url", "9090"],
        &["completions", "cmd"],
    ] {
        let (exit, output, errors) = ran(arguments);
        assert_eq!((exit, output.as_str()), (Exit::Usage, ""), "{arguments:?}");
        assert!(!errors.is_empty(), "{arguments:?}");
    }
}

#[test]
fn dev_listens_on_loopback_only() {
    for address in ["127.0.0.1:0", "127.8.9.1:8080", "[::1]:8080", "[::ffff:127.0.0.1]:8080"] {
        assert!(
            Arguments::try_parse_from(["v", "dev", "--listen", address].map(OsString::from)).is_ok(),
            "{address}"
        );
    }
    let (_, _, errors) = ran(&["dev", "--listen", "192.0.2.1:8080"]);
    assert!(errors.contains("192.0.2.1 is not a loopback address; dev prints valid tokens"), "{errors}");
}

#[test]
fn check_accepts_a_sound_configuration() {
    let free = "server.listen = \"127.0.0.1:0\"\nserver.management = \"127.0.0.1:0\"\n";
    let (directory, file) = configured(&format!("{free}{SOUND}"));
    let store = directory.path().join("data");
    let note =
        format!("note: store.path: there is no store at {}; an empty one will be made", store.display());
    assert_eq!(
        ran(&["check", "--config", &file]),
        (Exit::Done, format!("{note}\n{file}: no errors\n"), String::new())
    );
}

#[test]
fn check_reports_all_errors_and_ends_with_2() {
    let (_directory, file) = configured("[server]\nworkers = 0\n");
    let (exit, output, errors) = ran(&["check", "--config", &file]);
    assert_eq!((exit, output.as_str()), (Exit::Usage, ""));
    assert!(errors.starts_with("error: the configuration has 6 errors\n"), "{errors}");
    assert_eq!(errors.lines().count(), 7, "{errors}");
}

#[test]
fn explain_shows_the_rule_that_allows() {
    let call = ["--method", "GetLogin", "--organisation", "JobCenter", "--adgang", "EgneBorgere"];
    assert_eq!(explained(&call), (Exit::Done, "let in: GetLogin.JobCenter allows EgneBorgere\n".to_owned()));
    let mapped = ["--method", "GetLogin", "--organisation", "8", "--adgang", "EgneBorgere"];
    assert_eq!(explained(&mapped), explained(&call));
    let alias = ["--method", "GetLogin", "--organisation", "JobCenter", "--access-mode", "EgneBorgere"];
    assert_eq!(explained(&alias), explained(&call));
    let several = [&call[..], &["--adgang", "Gaesteadgang"]].concat();
    assert_eq!(explained(&several), explained(&call));
}

#[test]
fn explain_shows_what_is_missing_and_ends_with_1() {
    let refused = |arguments: &[&str]| {
        let (exit, output) = explained(&[&["--method", "SetLogin"], arguments].concat());
        assert_eq!(exit, Exit::Failed);
        output
    };
    assert_eq!(
        refused(&["--organisation", "JobCenter", "--adgang", "AlleBorgere"]),
        "refused: SetLogin.JobCenter allows no access mode\n"
    );
    assert_eq!(
        refused(&["--organisation", "STAR", "--adgang", "EgneBorgere"]),
        "refused: SetLogin.STAR does not allow EgneBorgere\n"
    );
    assert_eq!(
        refused(&["--organisation", "STAR"]),
        "refused: SetLogin.STAR: no known access mode was claimed\n"
    );
    assert_eq!(
        refused(&["--organisation", "STAR", "--adgang", "alleborgere"]),
        "refused: SetLogin.STAR: no known access mode was claimed\n  \
         \"alleborgere\" is no access mode; did you mean AlleBorgere?\n"
    );
    assert_eq!(
        refused(&["--organisation", "star", "--adgang", "AlleBorgere"]),
        "refused: \"star\" is no organisation type; did you mean STAR?\n"
    );
}

/// Answers one request with this, and returns its first line.
fn answering(answer: &'static str) -> (String, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..length]).lines().next().unwrap().to_owned()
    });
    (address, asked)
}

#[test]
fn health_is_0_when_ready() {
    for slash in ["", "/"] {
        let (address, asked) = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        let ended = ran(&["health", "--url", &format!("http://{address}{slash}")]);
        assert_eq!(ended, (Exit::Done, "ready\n".to_owned(), String::new()));
        assert_eq!(asked.join().unwrap(), "GET /readyz HTTP/1.1");
    }
}

#[test]
fn health_is_1_and_prints_what_is_missing() {
    let (address, _asked) = answering(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 14\r\nConnection: close\r\n\r\nkeys\x1b[2J\nstore",
    );
    let (exit, output, _) = ran(&["health", "--url", &format!("http://{address}")]);
    assert_eq!(exit, Exit::Failed);
    assert_eq!(output, "not ready: 503 Service Unavailable\nkeys[2J\nstore\n");
}

#[test]
fn health_follows_no_redirect() {
    let (address, _asked) = answering(
        "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(ran(&["health", "--url", &format!("http://{address}")]).0, Exit::Failed);
}

#[test]
fn health_is_1_without_an_answer() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (exit, output, errors) = ran(&["health", "--url", &format!("http://{closed}")]);
    assert_eq!((exit, output.as_str()), (Exit::Failed, ""));
    assert!(errors.contains("/readyz: "), "{errors}");
}

#[test]
fn the_manual_has_every_command_and_its_example() {
    let (exit, page, _) = ran(&["man"]);
    assert_eq!(exit, Exit::Done);
    assert!(page.contains(".TH virksomhedslogin 1"), "{page}");
    assert!(!page.contains("EXTRA"), "{page}");
    for command in Arguments::command().get_subcommands() {
        let heading = format!(".SH \"{}\"", command.get_name().to_uppercase());
        assert!(page.contains(&heading), "{heading}");
        assert!(page.contains(&format!("virksomhedslogin {}", command.get_name())), "{page}");
    }
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (exit, script, _) = ran(&["completions", shell]);
        assert_eq!(exit, Exit::Done);
        assert!(script.contains("explain"), "{shell}");
    }
}

/// A stream that fails in the same way always.
struct Broken(io::ErrorKind);

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn closed_output_is_no_failure_but_a_full_disk_is() {
    let to = |kind, command: &str| {
        run(["v", command].map(OsString::from), &mut Broken(kind), &mut Broken(io::ErrorKind::BrokenPipe))
    };
    for command in ["man", "--help", "--version"] {
        assert_eq!(to(io::ErrorKind::BrokenPipe, command), Exit::Done);
        assert_eq!(to(io::ErrorKind::StorageFull, command), Exit::Failed);
    }
    assert_eq!(to(io::ErrorKind::BrokenPipe, "sreve"), Exit::Usage);
}
