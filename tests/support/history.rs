//! Writers, the history of their calls and answers, and the check of a store against that history.
//!
//! A call is stamped by the service between its beginning and its end. From that alone follows what a store may hold:
//! every acknowledged call, nothing that no call can have written, and for each company a first login that never
//! rises and a last one that never falls, in whatever was read at any time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use virksomhedslogin::testing::{Clock, SystemClock};

use crate::support::logins::{Logins, list};
use crate::support::process::{Service, agent, put};

/// Companies that all writers record, so that their calls meet.
pub(crate) const SHARED: u32 = 5;
/// The first of the companies that are recorded once.
pub(crate) const OWN: u32 = 10_000_000;
const WRITERS: u32 = 8;
/// From this company on a test may record outside the history.
pub(crate) const BESIDE: u32 = 90_000_000;

/// One call of SetLogin, with the milliseconds between which the service stamped it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub cvr: u32,
    pub began: i64,
    pub ended: i64,
    /// `None` when the connection broke.
    pub status: Option<u16>,
}

/// All calls so far, and the best that was ever read of each company.
#[derive(Debug, Default)]
pub(crate) struct History {
    calls: BTreeMap<u32, Vec<Call>>,
    seen: Logins,
    pub acknowledged: u64,
    /// The next company that has not been recorded yet, counted from [`OWN`].
    pub next_number: Arc<AtomicU32>,
}

/// Writers and a reader at work.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    pub acknowledged: Arc<AtomicU64>,
    writers: Vec<JoinHandle<Vec<Call>>>,
    reader: JoinHandle<Vec<Logins>>,
}

pub(crate) fn now() -> i64 {
    SystemClock.now().millis()
}

pub(crate) fn body(cvr: &str) -> String {
    format!(r#"{{"VirksomhedsLoginDto":{{"cvrNummer":"{cvr}"}}}}"#)
}

impl Load {
    /// Eight writers, each until its connection breaks or it has to stop; every third call is for a company that
    /// all of them record. A reader lists everything meanwhile.
    pub(crate) fn start(service: &Service, history: &History) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let writers = (0..WRITERS)
            .map(|writer| {
                let (address, token) = (service.address.clone(), service.token.clone());
                let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
                let numbers = Arc::clone(&history.next_number);
                std::thread::spawn(move || {
                    let (agent, mut calls) = (agent(), Vec::new());
                    for turn in 0u32.. {
                        let cvr = if turn.is_multiple_of(3) {
                            (writer + turn) % SHARED
                        } else {
                            OWN + numbers.fetch_add(1, Ordering::Relaxed)
                        };
                        let text = format!("{cvr:08}");
                        let began = now();
                        let status = put(&agent, &address, &token, &text, &body(&text)).ok();
                        calls.push(Call { cvr, began, ended: now(), status });
                        match status {
                            Some(204) => drop(acknowledged.fetch_add(1, Ordering::Relaxed)),
                            Some(_) => std::thread::sleep(Duration::from_millis(5)),
                            None => break,
                        }
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                    calls
                })
            })
            .collect();
        let (address, token, halt) = (service.address.clone(), service.token.clone(), Arc::clone(&stop));
        let reader = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while !halt.load(Ordering::Relaxed)
                && let Some(logins) = list(&address, &token)
            {
                seen.push(logins);
                std::thread::sleep(Duration::from_millis(40));
            }
            seen
        });
        Self { stop, acknowledged, writers, reader }
    }

    /// Waits until so many more calls have been acknowledged.
    pub(crate) fn wait_for(&self, more: u64, at_most: Duration) -> bool {
        let (from, until) = (self.acknowledged.load(Ordering::Relaxed), Instant::now() + at_most);
        while self.acknowledged.load(Ordering::Relaxed) < from + more {
            if Instant::now() > until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Ends the load and adds it to the history. Returns how often each status was answered.
    pub(crate) fn finish(self, history: &mut History) -> BTreeMap<Option<u16>, u64> {
        self.stop.store(true, Ordering::Relaxed);
        let mut answers = BTreeMap::new();
        for writer in self.writers {
            for call in writer.join().unwrap() {
                *answers.entry(call.status).or_default() += 1;
                history.add(call);
            }
        }
        for logins in self.reader.join().unwrap() {
            history.read(logins).unwrap();
        }
        answers
    }
}

impl History {
    /// Takes note of a call.
    pub(crate) fn add(&mut self, call: Call) {
        self.acknowledged += u64::from(call.status == Some(204));
        self.calls.entry(call.cvr).or_default().push(call);
    }

    /// Takes note of a list that was read; an error when an earlier one knew more.
    pub(crate) fn read(&mut self, logins: Logins) -> Result<(), String> {
        for (cvr, (first, last)) in &self.seen {
            match logins.get(cvr) {
                None => return Err(format!("{cvr:08} was read before and is gone")),
                Some((now_first, now_last)) if now_first > first || now_last < last => {
                    return Err(format!(
                        "{cvr:08} was {first}..{last} and went back to {now_first}..{now_last}"
                    ));
                }
                Some(_) => {}
            }
        }
        self.seen = logins;
        Ok(())
    }

    /// Whether a store with these logins agrees with all calls and with all that was read before; else all that is wrong.
    pub(crate) fn check(&mut self, found: &Logins) -> Result<(), Vec<String>> {
        let mut wrong = Vec::new();
        for (cvr, calls) in &self.calls {
            let acknowledged = calls.iter().filter(|call| call.status == Some(204));
            for call in acknowledged {
                match found.get(cvr) {
                    None => wrong.push(format!("{cvr:08} was answered 204 and is lost")),
                    Some(&(first, last)) if first > call.ended || last < call.began => {
                        wrong.push(format!("{cvr:08}: the login of {}..{} is lost", call.began, call.ended));
                    }
                    Some(_) => {}
                }
            }
        }
        for (cvr, (first, last)) in found.iter().filter(|(cvr, _)| **cvr < BESIDE) {
            let of_a_call = |time: &i64| {
                let calls = self.calls.get(cvr).map_or(&[][..], Vec::as_slice);
                calls.iter().any(|call| (call.began..=call.ended).contains(time))
            };
            if !of_a_call(first) || !of_a_call(last) {
                wrong.push(format!("{cvr:08} has {first}..{last}, which no call wrote"));
            }
        }
        wrong.extend(self.read(found.clone()).err());
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Fails with what is wrong.
    pub(crate) fn assert(&mut self, found: &Logins, when: &str) {
        if let Err(wrong) = self.check(found) {
            panic!("{when}: {} faults: {:#?}", wrong.len(), &wrong[..wrong.len().min(10)]);
        }
    }
}
