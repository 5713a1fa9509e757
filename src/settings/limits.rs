//! `[limits]`: how much one client, and all of them together, may take.

use std::num::NonZeroU32;
use std::time::Duration;

use super::keys;
use super::source::Source;

/// How much one client, and all of them together, may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections of the API's listener that are served at once, 16 to 65536.
    pub connections: usize,
    /// For a request's head, and after it for its body, 1 s to 5 min.
    pub request_timeout: Duration,
    /// While a client takes nothing of an answer, 1 s to 1 h.
    pub write_timeout: Duration,
    /// Between two requests of a connection, 1 s to 1 h.
    pub idle_timeout: Duration,
    /// Calls of one client; none without a limit.
    pub rate: Option<Rate>,
    /// Calls a second without a good token that are answered one by one to an address, at most 100,000; none without a
    /// limit.
    pub refused_per_second: Option<NonZeroU32>,
}

/// A token bucket: how fast it is filled, and its size. Both at most 100,000 calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub per_second: NonZeroU32,
    pub burst: NonZeroU32,
}

pub(super) fn read(source: &mut Source) -> Limits {
    Limits {
        connections: source.number(&keys::CONNECTIONS),
        request_timeout: source.seconds(&keys::REQUEST_TIMEOUT),
        write_timeout: source.seconds(&keys::WRITE_TIMEOUT),
        idle_timeout: source.seconds(&keys::IDLE_TIMEOUT),
        rate: rate(source),
        refused_per_second: NonZeroU32::new(source.number(&keys::REFUSED_PER_SECOND)),
    }
}

fn rate(source: &mut Source) -> Option<Rate> {
    let errors = source.errors.len();
    let per_second = NonZeroU32::new(source.number(&keys::REQUESTS_PER_SECOND));
    let burst = NonZeroU32::new(source.number(&keys::BURST));
    if let (None, Some(burst)) = (per_second, burst)
        && source.errors.len() == errors
    {
        let reason = format!("is {burst}, but {} is 0", keys::REQUESTS_PER_SECOND.path);
        let help = format!("set {} too, or leave it out", keys::REQUESTS_PER_SECOND.name());
        source.error(&keys::BURST, reason, help);
    }
    per_second.map(|per_second| Rate { per_second, burst: burst.unwrap_or(per_second) })
}
