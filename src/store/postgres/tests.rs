//! The manual says what the program does.

use super::*;

/// The manual with every run of blanks as one.
fn manual() -> String {
    one_blank(include_str!("../../../docs/POSTGRES.md"))
}

fn one_blank(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_manual_prints_the_tables_and_the_statements_as_they_are() {
    let manual = manual();
    for sql in [
        schema::TABLES,
        statements::RECORD,
        statements::LOOK_UP,
        statements::BEGIN_LIST,
        statements::WRITERS,
        statements::NEXT_PAGE,
        statements::HISTORY,
        statements::CHANGES,
        statements::LOCK,
        statements::ERASE,
    ] {
        assert!(manual.contains(&one_blank(sql)), "docs/POSTGRES.md does not print {sql}");
    }
}

#[test]
fn the_manual_grants_what_is_looked_for_and_nothing_else() {
    let mut granted: Vec<(String, String)> = Vec::new();
    for line in include_str!("../../../docs/POSTGRES.md").lines() {
        let Some((privileges, rest)) = line.strip_prefix("GRANT ").and_then(|grant| grant.split_once(" ON "))
        else {
            continue;
        };
        let table = rest.split(' ').next().unwrap();
        granted.extend(privileges.split(", ").map(|privilege| (table.to_owned(), privilege.to_owned())));
    }
    let wanted: Vec<_> = schema::PRIVILEGES
        .iter()
        .chain(&[("virksomhedslogin_login", "DELETE")])
        .map(|(table, privilege)| ((*table).to_owned(), (*privilege).to_owned()))
        .collect();
    assert_eq!(granted, wanted);
}

#[test]
fn a_task_that_panics_is_reported_as_ended() {
    let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let tasks = crate::critical_tasks::CriticalTasks::default();
    spawn(runtime.handle(), tasks.guard("the task"), async { panic!("for the test") });
    assert_eq!(runtime.block_on(tasks.ended()), "the task has ended");
}

/// A frozen machine accepts connections and says nothing. Another host, which may be promoted at any time, refuses at once.
#[test]
fn a_silent_host_does_not_delay_the_search_at_the_others() {
    const SEARCH: Duration = Duration::from_secs(4);
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let tried = runtime.block_on(async {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let refusing = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let ports = [&silent, &refusing].map(|listener| listener.local_addr().unwrap().port());
        let url = format!("postgresql://x@127.0.0.1:{},127.0.0.1:{}/x", ports[0], ports[1]);
        let address = Address::new(&url, None, &TlsFiles::default()).unwrap();
        let options = Database { address, create_schema: false, connections: 10, prepared_statements: false };
        let client = Client::new(&options, Duration::from_secs(5)).unwrap();
        let mut tried = 0;
        let refuse = async {
            loop {
                drop(refusing.accept().await.unwrap());
                tried += 1;
            }
        };
        let _ = timeout(SEARCH, async { tokio::join!(client.reconnect(false), refuse) }).await;
        tried
    });
    // One after the other they would be tried twice: a search waits 1.3 s for the silent host.
    assert!(tried >= 4, "tried {tried} times in {SEARCH:?}");
}
