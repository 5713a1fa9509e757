//! What `benches/hot_paths.rs` and `benches/instructions.rs` measure: fixed inputs and the parts that take them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use virksomhedslogin::testing::Cvr;
use virksomhedslogin::testing::LoginSpan;
use virksomhedslogin::testing::Record;
use virksomhedslogin::testing::Timestamp;
use virksomhedslogin::testing::{AccessMode, AccessModes, AccessTable, Method, OrganisationType};
use virksomhedslogin::testing::{Algorithm, Authenticator, CertificateBound, ClaimNames, Rules, Source};
use virksomhedslogin::testing::{Clock, SharedClock};

/// The token of `benches/fixed/token.txt`.
pub(crate) fn token() -> &'static str {
    include_str!("token.txt").trim_end()
}

struct FixedClock(Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// A clock that shows a time at which the token is good.
pub(crate) fn clock() -> SharedClock {
    Arc::new(FixedClock(time(1_764_000_000_000)))
}

/// Judges the token.
pub(crate) fn authenticator() -> Authenticator {
    let rules = Rules {
        issuer: "https://sts.bench.invalid".to_owned(),
        audience: vec!["virksomhedslogin-bench".to_owned()],
        algorithms: vec![Algorithm::RS256],
        leeway: Duration::from_secs(30),
        types: vec!["at+jwt".to_owned()],
        max_lifetime: Duration::ZERO,
        certificate_bound: CertificateBound::default(),
        claims: ClaimNames::default(),
        organisation_types: Default::default(),
    };
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/fixed/jwks.json");
    Authenticator::new(rules, Source::File(keys), clock()).expect("the fixed key set")
}

/// The table in which STAR may call everything for all citizens.
pub(crate) fn access_table() -> AccessTable {
    let mut access_table = AccessTable::deny_all();
    for method in Method::ALL {
        access_table.set(method, OrganisationType::Star, acting());
    }
    access_table
}

/// The access modes of the token.
pub(crate) fn acting() -> AccessModes {
    AccessModes::NONE.with(AccessMode::AlleBorgere)
}

/// The company of this number and its logins.
pub(crate) fn record(number: u32) -> Record {
    let first = 1_451_606_400_000 + i64::from(number) * 37;
    Record {
        cvr: Cvr::from_number(10_000_007 + number * 89).expect("eight digits"),
        login: LoginSpan::new(time(first), time(first + 86_400_000)).expect("in order"),
    }
}

fn time(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis).expect("a time that can be written")
}
