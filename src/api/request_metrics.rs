//! How many calls ended how, and how long they took.
//!
//! Every combination of labels that there can be has its counter from the start: counting takes no lock and no memory, and
//! nothing that a client sends makes a new series.

use std::time::Duration;

use actix_web::http::StatusCode;
use strum::VariantArray;

use super::problem::Kind;
use super::spec::{EndpointSpec, Verb};
use crate::auth::Caller;
use crate::domain::access::{Method, OrganisationType};
use crate::telemetry::metrics::{Counter, Histogram, latency};

/// The label of what has no value: no method reached, no `fejlkode`.
const NOTHING: &str = "-";
/// Statuses of answers that are no errors. The first ones are by far the most frequent.
const SUCCESSES: [StatusCode; 5] = [
    StatusCode::OK,
    StatusCode::NO_CONTENT,
    StatusCode::NOT_MODIFIED,
    StatusCode::IM_USED,
    StatusCode::PERMANENT_REDIRECT,
];
/// The methods, and none.
const METHODS: usize = Method::ALL.len() + 1;
/// The organisation types, then any other, then none.
const ORGANISATIONS: usize = OTHER_ORGANISATION + 2;
const OTHER_ORGANISATION: usize = OrganisationType::ALL.len();
const NO_ORGANISATION: usize = OTHER_ORGANISATION + 1;

/// An answer's status and `fejlkode`.
type Outcome = (StatusCode, Option<&'static str>);

/// The counters of the API's listener.
#[derive(Debug)]
pub(crate) struct Requests {
    outcomes: Vec<Outcome>,
    /// By method, outcome (the last one is any other) and organisation type.
    counters: Vec<Counter>,
    /// By method.
    durations: [Histogram; METHODS],
}

impl Default for Requests {
    fn default() -> Self {
        let mut outcomes: Vec<Outcome> = SUCCESSES.map(|status| (status, None)).to_vec();
        for (status, code, _) in Kind::VARIANTS.iter().map(|kind| kind.row()) {
            if !outcomes.contains(&(status, Some(code))) {
                outcomes.push((status, Some(code)));
            }
        }
        let series = METHODS * (outcomes.len() + 1) * ORGANISATIONS;
        let counters = (0..series).map(|_| Counter::default()).collect();
        Self { outcomes, counters, durations: std::array::from_fn(|_| latency()) }
    }
}

impl Requests {
    /// Counts an answer. `took`: until it was ready to be sent.
    pub(crate) fn count(
        &self,
        method: Option<Method>,
        status: StatusCode,
        code: Option<&'static str>,
        caller: Option<&Caller>,
        took: Duration,
    ) {
        let method = method.map_or(Method::ALL.len(), |method| method as usize);
        let outcome = self.outcomes.iter().position(|known| *known == (status, code));
        let outcome = method * (self.outcomes.len() + 1) + outcome.unwrap_or(self.outcomes.len());
        if let Some(counter) = self.counters.get(outcome * ORGANISATIONS + organisation_of(caller)) {
            counter.inc();
        }
        self.durations[method].observe(took.as_secs_f64());
    }

    /// The labels (method, status, `fejlkode`, organisation type) and number of every series that has counted something or is
    /// a declared answer's: Prometheus takes what begins at 1 for a number that was always there.
    pub(crate) fn read(&self) -> impl Iterator<Item = ([&str; 4], u64)> {
        self.counters.iter().enumerate().filter_map(|(index, counter)| {
            let (row, organisation) = (index / ORGANISATIONS, index % ORGANISATIONS);
            let method = row / (self.outcomes.len() + 1);
            let outcome = self.outcomes.get(row % (self.outcomes.len() + 1));
            let labels = [
                method_name(method),
                outcome.map_or("other", |(status, _)| status.as_str()),
                outcome.and_then(|(_, code)| *code).unwrap_or(NOTHING),
                organisation_name(organisation),
            ];
            let count = counter.get();
            (count > 0 || is_declared(method, outcome, organisation)).then_some((labels, count))
        })
    }

    /// How long the calls of each method took, in seconds.
    pub(crate) fn durations(&self) -> impl Iterator<Item = (&'static str, Histogram)> {
        self.durations.iter().enumerate().map(|(method, durations)| (method_name(method), durations.clone()))
    }
}

fn method_name(method: usize) -> &'static str {
    Method::ALL.get(method).map_or(NOTHING, |method| method.name())
}

fn organisation_name(organisation: usize) -> &'static str {
    match OrganisationType::ALL.get(organisation) {
        Some(known) => known.name(),
        None if organisation == OTHER_ORGANISATION => "other",
        None => "none",
    }
}

fn organisation_of(caller: Option<&Caller>) -> usize {
    let Some(caller) = caller else { return NO_ORGANISATION };
    match (caller.organisation(), caller.organisation_type.as_deref()) {
        (Ok((known, _)), _) => known as usize,
        (Err(_), Some(claimed)) => {
            claimed.parse().map_or(OTHER_ORGANISATION, |known: OrganisationType| known as usize)
        }
        (Err(_), None) => NO_ORGANISATION,
    }
}

/// Whether calls of the method are expected to end so for this organisation type; only a 401 has none.
fn is_declared(method: usize, outcome: Option<&Outcome>, organisation: usize) -> bool {
    let (Some(spec), Some((status, code))) = (EndpointSpec::ALL.get(method), outcome) else { return false };
    let fits = match *status {
        StatusCode::UNAUTHORIZED => organisation == NO_ORGANISATION,
        _ => organisation < OTHER_ORGANISATION,
    };
    fits && match (code, spec.verb) {
        (None, Verb::Get) => {
            [StatusCode::OK, StatusCode::NOT_MODIFIED].contains(status)
                || (*status == StatusCode::IM_USED && spec.method == Method::GetLogins)
        }
        (None, Verb::Put) => *status == StatusCode::NO_CONTENT,
        (Some(code), _) => spec.faults().any(|kind| (kind.row().0, kind.row().1) == (*status, *code)),
    }
}

#[cfg(test)]
mod tests;
