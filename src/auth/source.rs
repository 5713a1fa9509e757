//! Where keys come from, and the times that decide when they are read again.

use std::path::PathBuf;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use url::Url;

/// Where the keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In this file, which is read again when it changes.
    File(PathBuf),
    /// Published by the issuer.
    Remote(Remote),
}

/// A set that the issuer publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// Its address (`https://`, or `http://` to this machine); `None`: as the OpenID configuration of
    /// [`Rules::issuer`](super::Rules::issuer) says.
    pub address: Option<Url>,
    /// Authorities that are trusted beside the public ones.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Maximum time between two fetches; less when the issuer's `max-age` is shorter.
    pub refresh: Duration,
    /// How long the last good set serves during an outage of the issuer.
    pub max_stale: Duration,
}

/// The timing of the background thread and of requests that wait for it. Tests run faster ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefreshTiming {
    /// Maximum time of a fetch; two fifths of it for connecting.
    pub(super) fetch: Duration,
    pub(super) shortest: Duration,
    pub(super) first_pause: Duration,
    pub(super) longest_pause: Duration,
    pub(super) unknown_spacing: Duration,
    pub(super) file_poll: Duration,
}

impl RefreshTiming {
    pub(super) const SERVING: Self = Self {
        fetch: Duration::from_secs(5),
        shortest: Duration::from_secs(10),
        first_pause: Duration::from_secs(1),
        longest_pause: Duration::from_secs(30),
        unknown_spacing: Duration::from_secs(10),
        file_poll: Duration::from_secs(2),
    };

    /// How long a request waits for a fetch: the whole of it and a little.
    pub(super) fn max_wait(&self) -> Duration {
        self.fetch + self.fetch / 10
    }
}
