//! How many calls ended how, and how long they took.
//!
//! Every combination of labels that there can be has its counter from the start, so that counting is two look-ups
//! in short lists and three atomic additions: no lock, no memory, and nothing that a caller sends makes a new series.

use std::time::Duration;

use actix_web::http::StatusCode;

use super::problem::Kind;
use super::spec::{EndpointSpec, Verb};
use crate::auth::Caller;
use crate::domain::access::{Method, OrganisationType};
use crate::telemetry::metrics::{Counter, Histogram, latency};

/// The label of what has no value: no method reached, no `fejlkode`.
const NOTHING: &str = "-";
/// Statuses of answers that are no errors. The first ones are by far the most frequent.
const SUCCESSES: [StatusCode; 4] =
    [StatusCode::OK, StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED, StatusCode::PERMANENT_REDIRECT];
const METHODS: usize = Method::ALL.len() + 1;
const ORGANISATIONS: usize = OrganisationType::ALL.len() + 2;

/// How a call may end: its status and `fejlkode`, as the labels say them.
#[derive(Debug)]
struct Outcome {
    status: Option<StatusCode>,
    code: Option<&'static str>,
    /// The answer is that of a caller whose organisation is known.
    identified: bool,
}

/// The running numbers of the API's listener.
#[derive(Debug)]
pub struct Requests {
    /// The last one stands for any status that none of the others is.
    outcomes: Vec<Outcome>,
    /// By method, outcome and organisation type.
    counters: Vec<Counter>,
    /// By method.
    durations: [Histogram; METHODS],
}

/// One series of `requests_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Series<'a> {
    /// The labels' values: method, status, `fejlkode`, organisation type.
    pub labels: [&'a str; 4],
    /// How many calls it counts.
    pub count: u64,
}

impl Default for Requests {
    fn default() -> Self {
        let mut outcomes: Vec<Outcome> = SUCCESSES
            .into_iter()
            .map(|status| Outcome { status: Some(status), code: None, identified: true })
            .collect();
        for kind in Kind::ALL {
            let (status, code, _) = kind.row();
            if !outcomes.iter().any(|known| known.status == Some(status) && known.code == Some(code)) {
                let identified = !matches!(kind, Kind::Unauthorised);
                outcomes.push(Outcome { status: Some(status), code: Some(code), identified });
            }
        }
        outcomes.push(Outcome { status: None, code: None, identified: false });
        let counters = (0..METHODS * outcomes.len() * ORGANISATIONS).map(|_| Counter::default()).collect();
        Self { outcomes, counters, durations: std::array::from_fn(|_| latency()) }
    }
}

impl Requests {
    /// One call more was answered. `took` is the time until the answer was ready to be sent.
    pub fn count(
        &self,
        method: Option<Method>,
        status: StatusCode,
        code: Option<&'static str>,
        caller: Option<&Caller>,
        took: Duration,
    ) {
        let method = method.map_or(Method::ALL.len(), |method| method as usize);
        let known = self.outcomes.iter().position(|known| known.status == Some(status) && known.code == code);
        let outcome = known.unwrap_or(self.outcomes.len() - 1);
        if let Some(counter) = self.counters.get(self.place(method, outcome, organisation(caller))) {
            counter.inc();
        }
        self.durations[method].observe(took.as_secs_f64());
    }

    fn place(&self, method: usize, outcome: usize, organisation: usize) -> usize {
        (method * self.outcomes.len() + outcome) * ORGANISATIONS + organisation
    }

    /// Every series that has counted something, and those of a method's declared answers that have not yet: what
    /// begins at 1 looks to Prometheus as if it had always been there.
    pub fn read(&self) -> impl Iterator<Item = Series<'_>> {
        self.counters.iter().enumerate().filter_map(|(place, counter)| {
            let (row, organisation) = (place / ORGANISATIONS, place % ORGANISATIONS);
            let (method, outcome) = (row / self.outcomes.len(), &self.outcomes[row % self.outcomes.len()]);
            let count = counter.get();
            let status = outcome.status.as_ref().map_or("other", StatusCode::as_str);
            let labels = [
                method_name(method),
                status,
                outcome.code.unwrap_or(NOTHING),
                organisation_name(organisation),
            ];
            (count > 0 || is_declared(method, outcome, organisation)).then_some(Series { labels, count })
        })
    }

    /// How long the calls of each method took, in seconds.
    pub fn durations(&self) -> impl Iterator<Item = (&'static str, Histogram)> {
        self.durations.iter().enumerate().map(|(method, durations)| (method_name(method), durations.clone()))
    }
}

fn method_name(method: usize) -> &'static str {
    Method::ALL.get(method).map_or(NOTHING, |method| method.name())
}

/// The organisation types, then one that is none of them, then none at all.
fn organisation_name(organisation: usize) -> &'static str {
    match OrganisationType::ALL.get(organisation) {
        Some(known) => known.name(),
        None if organisation == OrganisationType::ALL.len() => "other",
        None => "none",
    }
}

fn organisation(caller: Option<&Caller>) -> usize {
    const OTHER: usize = OrganisationType::ALL.len();
    const NONE: usize = OTHER + 1;
    let Some(caller) = caller else { return NONE };
    match (caller.organisation(), caller.organisation_type.as_deref()) {
        (Ok((known, _)), _) => known as usize,
        (Err(_), Some(claimed)) => OrganisationType::parse(claimed).map_or(OTHER, |known| known as usize),
        (Err(_), None) => NONE,
    }
}

fn is_declared(method: usize, outcome: &Outcome, organisation: usize) -> bool {
    let Some(declaration) = EndpointSpec::ALL.get(method) else { return false };
    let is_known = organisation < OrganisationType::ALL.len();
    let is_nobody = organisation == ORGANISATIONS - 1;
    if outcome.identified != is_known || !(is_known || is_nobody) {
        return false;
    }
    match (outcome.status, outcome.code) {
        (Some(status), None) => match declaration.verb {
            Verb::Get => [StatusCode::OK, StatusCode::NOT_MODIFIED].contains(&status),
            Verb::Put => status == StatusCode::NO_CONTENT,
        },
        (Some(status), Some(code)) => {
            declaration.faults().any(|kind| (kind.row().0, kind.row().1) == (status, code))
        }
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_of_errors_has_a_series_of_its_own() {
        let requests = Requests::default();
        let took = Duration::from_micros(30);
        for kind in Kind::ALL {
            let (status, code, _) = kind.row();
            requests.count(Some(Method::SetLogin), status, Some(code), None, took);
            let labels = ["SetLogin", status.as_str(), code, "none"];
            assert!(requests.read().any(|series| series.labels == labels && series.count > 0), "{kind:?}");
        }
        assert!(requests.read().all(|series| series.labels[1] != "other"));
        let counted: u64 = requests.read().map(|series| series.count).sum();
        assert_eq!(counted, Kind::ALL.len() as u64);
    }

    #[test]
    fn what_no_method_answers_is_counted_and_makes_one_series() {
        let requests = Requests::default();
        let before = requests.read().count();
        for status in [StatusCode::IM_A_TEAPOT, StatusCode::CREATED] {
            requests.count(None, status, None, None, Duration::ZERO);
        }
        let told: Vec<_> = requests.read().filter(|series| series.count > 0).collect();
        assert_eq!(told, [Series { labels: ["-", "other", "-", "none"], count: 2 }]);
        assert_eq!(requests.read().count(), before + 1);
    }

    #[test]
    fn an_answer_that_can_be_expected_is_there_before_it_is_given() {
        let requests = Requests::default();
        let labels: Vec<_> = requests.read().map(|series| series.labels).collect();
        assert!(labels.contains(&["GetLogin", "404", "120500", "JobCenter"]));
        assert!(labels.contains(&["SetLogin", "507", "1100", "STAR"]));
        assert!(labels.contains(&["GetLogins", "401", "1012", "none"]));
        assert!(!labels.contains(&["GetLogins", "507", "1100", "STAR"]));
        assert!(labels.iter().all(|labels| labels[0] != "-" && labels[3] != "other"));
        assert!(labels.len() < 120, "{}", labels.len());
    }
}
