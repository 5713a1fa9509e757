//! Writers and readers on several instances at once, and what none of them may see.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;
use virksomhedslogin::testing::Timestamp;

use crate::suites::postgres::instances::Instances;
use crate::support::history::{Call, History, OWN, SHARED, body, now};
use crate::support::logins::{Logins, logins};
use crate::support::process::{Fixture, agent};

const LIST: &str = "/v1/Logins";

/// What came of one request.
pub(super) struct Answer {
    pub status: u16,
    pub retry_after: Option<String>,
    pub text: String,
}

/// Sends one request; a body makes it a PUT.
pub(super) fn ask(
    agent: &ureq::Agent,
    address: &str,
    token: &str,
    path: &str,
    body: Option<&str>,
) -> Result<Answer, ureq::Error> {
    let (uri, bearer) = (format!("http://{address}{path}"), format!("Bearer {token}"));
    let mut response = match body {
        Some(body) => {
            let request = agent.put(uri).header("Authorization", bearer);
            request.content_type("application/json").send(body)?
        }
        None => agent.get(uri).header("Authorization", bearer).call()?,
    };
    let retry_after = response.headers().get("Retry-After").map(|value| value.to_str().unwrap().to_owned());
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(1 << 30).read_to_string()?;
    Ok(Answer { status, retry_after, text })
}

/// First and last login in an answer of GetLogin.
pub(super) fn login(text: &str) -> (i64, i64) {
    let body: Value = serde_json::from_str(text).unwrap();
    let login = body.as_object().unwrap().values().next().unwrap();
    let millis = |name: &str| Timestamp::parse(login[name].as_str().unwrap()).unwrap().millis();
    (millis("tidligsteLoginTidspunkt"), millis("senesteLogintidspunkt"))
}

/// A request whose connection broke.
struct Broken {
    instance: usize,
    is_list: bool,
    began: i64,
    ended: i64,
}

/// What one thread met.
#[derive(Default)]
struct Met {
    calls: Vec<Call>,
    lists: Vec<Logins>,
    answers: BTreeMap<String, u64>,
    faults: Vec<String>,
    broken: Vec<Broken>,
}

/// What all threads share.
struct Shared {
    stop: AtomicBool,
    acknowledged: AtomicU64,
    /// Of all answers, in milliseconds.
    slowest: AtomicU64,
    numbers: Arc<AtomicU32>,
    token: String,
    addresses: Vec<Arc<Mutex<String>>>,
}

/// Writers and readers at work.
pub(super) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<Met>>,
}

impl Load {
    /// Each writer goes from instance to instance; every third call is for a company that all of them record. What was
    /// acknowledged is at once read through another instance. Readers follow the shared companies, and one lists
    /// everything, from instance to instance.
    pub(super) fn start(instances: &Instances, history: &History, writers: u32, readers: u32) -> Self {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            slowest: AtomicU64::new(0),
            numbers: Arc::clone(&history.next_number),
            token: instances.fixture.token(),
            addresses: instances.addresses.clone(),
        });
        let spawn = |work: fn(&Shared, u32) -> Met, number: u32| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || work(&shared, number))
        };
        let mut threads = vec![spawn(list_on, 0)];
        threads.extend((0..writers).map(|number| spawn(write_on, number)));
        threads.extend((0..readers).map(|number| spawn(read_on, number)));
        Self { shared, threads }
    }

    /// Waits until so many more calls have been acknowledged.
    pub(super) fn wait_for(&self, more: u64, at_most: Duration) -> bool {
        let acknowledged = || self.shared.acknowledged.load(Ordering::Relaxed);
        let (from, until) = (acknowledged(), Instant::now() + at_most);
        while acknowledged() < from + more {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// How long any answer took so far, those of lists left out.
    pub(super) fn slowest(&self) -> Duration {
        Duration::from_millis(self.shared.slowest.load(Ordering::Relaxed))
    }

    /// Ends the load, adds it to the history, and fails with everything that no client may see. Returns how often each
    /// answer came.
    pub(super) fn finish(self, instances: &Instances, history: &mut History) -> BTreeMap<String, u64> {
        let (answers, faults) = self.end(instances, history);
        let some = &faults[..faults.len().min(10)];
        assert!(faults.is_empty(), "{} faults, {answers:?}: {some:#?}", faults.len());
        answers
    }

    fn end(self, instances: &Instances, history: &mut History) -> (BTreeMap<String, u64>, Vec<String>) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let (mut answers, mut faults) = (BTreeMap::new(), Vec::new());
        for thread in self.threads {
            let met = thread.join().unwrap();
            met.calls.into_iter().for_each(|call| history.add(call));
            met.answers.into_iter().for_each(|(answer, times)| *answers.entry(answer).or_default() += times);
            faults.extend(met.faults);
            faults.extend(met.lists.into_iter().filter_map(|logins| history.read(logins).err()));
            let unexplained = met.broken.iter().filter(|broken| !broken.is_explained(instances));
            faults.extend(unexplained.map(|broken| {
                format!("instance {} broke off at {}..{}", broken.instance, broken.began, broken.ended)
            }));
        }
        (answers, faults)
    }
}

impl Broken {
    /// Its instance was down, or it was a list, begun already, when the database fell.
    fn is_explained(&self, instances: &Instances) -> bool {
        instances.outages.iter().any(|outage| {
            let by_it = outage.instance.map_or(self.is_list, |instance| instance == self.instance);
            by_it && self.began <= outage.until && outage.from <= self.ended
        })
    }
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn ask(
        &self,
        agent: &ureq::Agent,
        met: &mut Met,
        to: u32,
        path: &str,
        body: Option<&str>,
    ) -> Option<Answer> {
        let instance = to as usize % self.addresses.len();
        let address = self.addresses[instance].lock().unwrap().clone();
        let (verb, began) = (if body.is_some() { "PUT" } else { "GET" }, now());
        let answer = match ask(agent, &address, &self.token, path, body) {
            Ok(answer) => answer,
            Err(_) => {
                let is_list = path == LIST;
                met.broken.push(Broken { instance, is_list, began, ended: now() });
                *met.answers.entry(format!("{verb} -")).or_default() += 1;
                std::thread::sleep(Duration::from_millis(20));
                return None;
            }
        };
        *met.answers.entry(format!("{verb} {}", answer.status)).or_default() += 1;
        if path != LIST {
            self.slowest.fetch_max((now() - began).unsigned_abs(), Ordering::Relaxed);
        }
        match (verb, answer.status) {
            ("PUT", 204) | ("GET", 200 | 404) => {}
            (_, 503) => {
                if answer.retry_after.as_ref().is_none_or(|text| text.parse::<u32>().is_err()) {
                    met.faults.push(format!("{verb} {path}: 503 without Retry-After"));
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            (_, status) => met.faults.push(format!("{verb} {path}: {status} {}", answer.text)),
        }
        Some(answer)
    }
}

fn write_on(shared: &Shared, writer: u32) -> Met {
    let (agent, mut met) = (agent(), Met::default());
    for turn in 0u32.. {
        if shared.stopped() {
            break;
        }
        let cvr = if turn.is_multiple_of(3) {
            (writer + turn) % SHARED
        } else {
            OWN + shared.numbers.fetch_add(1, Ordering::Relaxed)
        };
        let text = format!("{cvr:08}");
        let (path, body) = (format!("/v1/Login/{text}"), body(&text));
        let (instance, began) = (writer + turn, now());
        let status = shared.ask(&agent, &mut met, instance, &path, Some(&body)).map(|answer| answer.status);
        let ended = now();
        met.calls.push(Call { cvr, began, ended, status });
        if status != Some(204) {
            continue;
        }
        shared.acknowledged.fetch_add(1, Ordering::Relaxed);
        let other = instance + 1 + turn % 2;
        let path = format!("/v1/Login?cvrNummer={text}");
        match shared.ask(&agent, &mut met, other, &path, None) {
            Some(Answer { status: 404, .. }) => {
                met.faults.push(format!("{text} was acknowledged and then read as unknown elsewhere"));
            }
            Some(Answer { status: 200, text: answer, .. }) => {
                let (first, last) = login(&answer);
                if first > ended || last < began {
                    let reported =
                        format!("{text} was recorded in {began}..{ended} and read as {first}..{last}");
                    met.faults.push(reported);
                }
            }
            _ => {}
        }
    }
    met
}

fn read_on(shared: &Shared, reader: u32) -> Met {
    let (agent, mut met, mut seen) = (agent(), Met::default(), BTreeMap::<u32, (i64, i64)>::new());
    for turn in 0u32.. {
        if shared.stopped() {
            break;
        }
        let cvr = turn % SHARED;
        let path = format!("/v1/Login?cvrNummer={cvr:08}");
        let Some(answer) = shared.ask(&agent, &mut met, reader + turn, &path, None) else { continue };
        let before = seen.get(&cvr).copied();
        match answer.status {
            200 => {
                let now = login(&answer.text);
                if before.is_some_and(|before| now.0 > before.0 || now.1 < before.1) {
                    met.faults.push(format!("{cvr:08} went back from {before:?} to {now:?}"));
                }
                seen.insert(cvr, now);
            }
            404 if before.is_some() => met.faults.push(format!("{cvr:08} was {before:?} and is gone")),
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    met
}

fn list_on(shared: &Shared, _: u32) -> Met {
    let (agent, mut met) = (agent(), Met::default());
    for turn in 0u32.. {
        if shared.stopped() {
            break;
        }
        let answer = shared.ask(&agent, &mut met, turn, LIST, None);
        if let Some(Answer { status: 200, text, .. }) = answer {
            met.lists.push(logins(&text));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    met
}

/// Instances on embedded stores, which cannot be shared.
fn apart(stores: &[&str]) -> Instances {
    let fixture = Fixture::new();
    let started = stores.iter().map(|store| fixture.serve_with(&[("VIRKSOMHEDSLOGIN__STORE__PATH", store)]));
    Instances::of(started.collect(), fixture)
}

#[test]
fn load_checker_accepts_one_store_and_rejects_two() {
    let (instances, mut history) = (apart(&["one"]), History::default());
    let load = Load::start(&instances, &history, 4, 4);
    assert!(load.wait_for(100, Duration::from_secs(20)));
    let answers = load.finish(&instances, &mut history);
    assert!(answers["PUT 204"] >= 100 && answers["GET 200"] >= 100, "{answers:?}");

    let (instances, mut history) = (apart(&["one", "two"]), History::default());
    let load = Load::start(&instances, &history, 4, 4);
    assert!(load.wait_for(200, Duration::from_secs(20)));
    // Until both have been listed.
    std::thread::sleep(Duration::from_secs(2));
    let (_, faults) = load.end(&instances, &mut history);
    for reported in ["read as unknown elsewhere", "went back from", "and went back to"] {
        assert!(faults.iter().any(|fault| fault.contains(reported)), "{reported}: {faults:#?}");
    }
}

#[test]
fn load_checker_forgives_broken_connections_in_outages_only() {
    let (mut instances, mut history) = (apart(&["one"]), History::default());
    for reported in [true, false] {
        let load = Load::start(&instances, &history, 2, 1);
        assert!(load.wait_for(20, Duration::from_secs(20)));
        instances.kill(0);
        std::thread::sleep(Duration::from_millis(200));
        if !reported {
            instances.outages.clear();
        }
        let (answers, faults) = load.end(&instances, &mut history);
        assert!(answers["PUT -"] > 0, "{answers:?}");
        assert_eq!(faults.is_empty(), reported, "{faults:#?}");
        instances = apart(&["one"]);
        history = History::default();
    }
}
