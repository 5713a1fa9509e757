//! Companies taken out of the database while instances serve it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::suites::postgres::instances::{Caller, Instances, command, done, ended};
use crate::support::cluster::{Cluster, PASSWORD, PASSWORD_IN_URL, ROLE, wait_until};
use crate::support::logins::listed;
use crate::support::process::{Service, agent};

/// Status and tag of a poll for what changed since this tag.
pub(super) fn poll(service: &Service, tag: &str) -> (u16, String) {
    let request = agent().get(format!("http://{}/v1/Logins", service.address));
    let request = request.header("Authorization", format!("Bearer {}", service.token));
    let answer = request.header("A-IM", "feed").header("If-None-Match", tag).call().unwrap();
    (answer.status().as_u16(), answer.headers()["etag"].to_str().unwrap().to_owned())
}

fn import(instances: &Instances, count: u32) {
    let time = "2020-01-01T00:00:00.000Z";
    let rows: String = (0..count)
        .map(|number| {
            format!(
                "{{\"cvrNummer\":\"{number:08}\",\"tidligsteLoginTidspunkt\":\"{time}\",\"senesteLogintidspunkt\":\"{time}\"}}\n"
            )
        })
        .collect();
    instances.fixture.write("list.ndjson", &rows);
    let file = instances.fixture.path("list.ndjson").display().to_string();
    done(command(&instances.fixture, &["import", "--no-trailer", &file]));
}

#[test]
fn logins_during_an_erasure_by_age_are_kept_and_every_instance_knows() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let instances = Instances::start(&cluster.url(&cluster.create_database()), 2);
    import(&instances, 20_000);
    let [one, other] = [0, 1].map(|number| instances.services[number].as_ref().unwrap());
    let tags = [one, other].map(|service| poll(service, "\"\"").1);
    assert_eq!(tags[0], tags[1]);
    let (stop, answered) = (AtomicBool::new(false), AtomicU64::new(0));
    let logged_in = std::thread::scope(|scope| {
        let writers: Vec<_> = [one, other]
            .into_iter()
            .enumerate()
            .map(|(writer, service)| {
                let (stop, answered) = (&stop, &answered);
                let caller = Caller::of(service);
                scope.spawn(move || {
                    let mut done = Vec::new();
                    for at in 0.. {
                        if stop.load(Ordering::SeqCst) {
                            break;
                        }
                        // In the midst of what is erased.
                        let number = (at * 2 + writer as u32) * 37 % 20_000;
                        assert_eq!(caller.put(&format!("{number:08}")), 204);
                        answered.fetch_add(1, Ordering::SeqCst);
                        done.push(number);
                    }
                    done
                })
            })
            .collect();
        while answered.load(Ordering::SeqCst) < 20 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let erased = ended(command(&instances.fixture, &["erase", "--last-before", "2021-01-01", "--yes"]));
        stop.store(true, Ordering::SeqCst);
        assert!(erased.status.success(), "{}", String::from_utf8_lossy(&erased.stderr));
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    let found = listed(one);
    assert_eq!(found, listed(other));
    assert!(logged_in.iter().all(|number| found.contains_key(number)), "a login was lost");
    assert!(found.keys().all(|number| logged_in.contains(number)), "a company without one was left");
    for service in [one, other] {
        let (status, tag) = poll(service, &tags[0]);
        assert_eq!(status, 200);
        assert_eq!(poll(service, &tag).0, 304);
    }
    let audited = std::fs::read_to_string(instances.fixture.path("audit.ndjson")).unwrap();
    let named = audited.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let named: BTreeSet<u32> =
        named.map(|line| line["cvrNummer"].as_str().unwrap().parse().unwrap()).collect();
    assert!(
        (0..20_000).all(|number| found.contains_key(&number) || named.contains(&number)),
        "one has no line"
    );
    // By number, and begun again.
    let number = *found.keys().next().unwrap();
    let (_, before) = poll(one, "\"\"");
    done(command(&instances.fixture, &["erase", &format!("{number:08}"), "--yes"]));
    assert_eq!(Caller::of(other).get(&format!("{number:08}")), 404);
    assert_eq!(Caller::of(one).put(&format!("{number:08}")), 204);
    assert_eq!(poll(other, &before).0, 200);
}

#[test]
fn locked_row_is_waited_for_and_a_missing_right_is_reported_before_any_line() {
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let database = cluster.create_database();
    let mut instances = Instances::start(&cluster.url(&database), 1);
    import(&instances, 3);
    instances.end(0);
    let role = "reads_and_writes";
    cluster.sql("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"));
    let grants = ["login", "schema"]
        .map(|table| format!("GRANT SELECT, INSERT, UPDATE ON virksomhedslogin_{table} TO {role};"));
    let writer = format!("GRANT SELECT, INSERT, UPDATE, DELETE ON virksomhedslogin_writer TO {role};");
    cluster.sql(&database, &format!("SET ROLE {ROLE}; {}{writer}", grants.concat()));
    let own = std::fs::read_to_string(instances.fixture.path("url")).unwrap();
    instances.fixture.write("url", &cluster.url_as(role, PASSWORD_IN_URL, &database));
    let denied = ended(command(&instances.fixture, &["erase", "00000001", "--yes"]));
    let reported = String::from_utf8_lossy(&denied.stderr).into_owned();
    assert_eq!(denied.status.code(), Some(1), "{reported}");
    assert!(reported.contains("DELETE on virksomhedslogin_login"), "{reported}");
    assert!(!instances.fixture.path("audit.ndjson").metadata().is_ok_and(|file| file.len() > 0));
    instances.fixture.write("url", &own);

    let row = "SELECT FROM virksomhedslogin_login WHERE cvr_number = 1 FOR UPDATE";
    let lock = cluster.begin(&database, row);
    let erase = command(&instances.fixture, &["erase", "00000001", "--yes"]);
    let erased = std::thread::spawn(|| done(erase));
    std::thread::sleep(Duration::from_secs(1));
    assert!(!erased.is_finished(), "it waits for the row");
    lock.commit();
    let erased = erased.join().unwrap();
    assert!(erased.ends_with("erased: 1\n"), "{erased}");

    // A start combines the rows of writers of long ago, and leaves this one: its number must not come again.
    let old = "FROM virksomhedslogin_writer WHERE written < now() - INTERVAL '7 days'";
    cluster.sql(&database, "UPDATE virksomhedslogin_writer SET written = now() - INTERVAL '8 days'");
    instances.start_again(0);
    let left = || cluster.sql(&database, &format!("SELECT id {old}"));
    assert!(wait_until(Duration::from_secs(10), || left().len() == 1), "{:?}", left());
    assert_eq!(left()[0][0], "erased");
    instances.end(0);

    // A trigger that keeps the rows is an error, and nothing is taken out.
    cluster.sql(
        &database,
        "CREATE FUNCTION keeps() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER keeps BEFORE DELETE ON virksomhedslogin_login FOR EACH ROW EXECUTE FUNCTION keeps()",
    );
    let kept = ended(command(&instances.fixture, &["erase", "00000002", "--yes"]));
    assert_eq!(kept.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&kept.stderr).contains("trigger"), "{kept:?}");
}
