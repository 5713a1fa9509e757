//! Numbers that many threads add to and one reads now and then: counters and histograms.
//!
//! Adding takes no lock and no memory: it is one atomic addition for a counter and two for a histogram. A reading is
//! taken while others add; what it says of one metric fits together, what it says of two may be a moment apart.
//! Names, labels and the text of a scrape are not known here (`http::metrics`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Only ever rises, until the process ends.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub(crate) fn increment(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a histogram counts in, and where its buckets end.
#[derive(Debug)]
pub(crate) struct Buckets {
    /// How many of the numbers that are observed make one of the unit that is read.
    per_unit: u64,
    /// The upper bounds, ascending, in what is observed; a value on a bound belongs below it.
    bounds: &'static [u64],
}

impl Buckets {
    /// Durations, observed in nanoseconds and read in seconds. The bounds are in nanoseconds, ascending.
    pub(crate) const fn durations(bounds: &'static [u64]) -> Self {
        Self { per_unit: 1_000_000_000, bounds }
    }

    /// Plain numbers. The bounds are ascending.
    pub(crate) const fn numbers(bounds: &'static [u64]) -> Self {
        Self { per_unit: 1, bounds }
    }

    #[expect(clippy::cast_precision_loss, reason = "a float is what Prometheus reads")]
    fn read(&self, observed: u64) -> f64 {
        observed as f64 / self.per_unit as f64
    }
}

/// How often values of which size were observed.
#[derive(Debug)]
pub(crate) struct Histogram {
    scale: &'static Buckets,
    /// One a bound, and one for what lies above them all.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram held at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct HistogramSnapshot {
    /// Upper bound and number of values between it and the bound before; the last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// The sum of all values.
    pub sum: f64,
    /// How many values there were: exactly those in the buckets.
    pub count: u64,
}

impl Histogram {
    /// A histogram of nothing yet.
    pub(crate) fn new(scale: &'static Buckets) -> Self {
        let buckets = (0..=scale.bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { scale, buckets, sum: AtomicU64::new(0) }
    }

    /// Counts this value, in what the scale observes.
    pub(crate) fn observe(&self, value: u64) {
        let above = self.scale.bounds.iter().position(|bound| value <= *bound);
        if let Some(bucket) = self.buckets.get(above.unwrap_or(self.scale.bounds.len())) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts this duration, on a scale of durations.
    pub(crate) fn observe_duration(&self, took: Duration) {
        self.observe(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What it holds now.
    pub(crate) fn read(&self) -> HistogramSnapshot {
        let ends = self.scale.bounds.iter().map(|bound| self.scale.read(*bound)).chain([f64::INFINITY]);
        let counts = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed));
        let buckets: Vec<(f64, u64)> = ends.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        HistogramSnapshot { buckets, sum: self.scale.read(self.sum.load(Ordering::Relaxed)), count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SCALE: Buckets = Buckets::durations(&[1_000, 25_000, 1_000_000_000]);

    #[test]
    fn a_value_on_a_bound_lies_below_it_and_what_is_too_large_above_all() {
        let histogram = Histogram::new(&SCALE);
        for nanos in [0, 1_000, 1_001, 25_000, 1_000_000_001] {
            histogram.observe_duration(Duration::from_nanos(nanos));
        }
        let read = histogram.read();
        assert_eq!(read.buckets, [(1e-6, 2), (2.5e-5, 2), (1.0, 0), (f64::INFINITY, 1)]);
        assert_eq!((read.count, read.sum), (5, 1.000_027_002));
    }

    #[test]
    fn nothing_is_lost_when_many_threads_add() {
        let (histogram, counter) = (Histogram::new(&SCALE), Counter::default());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for value in 0..10_000 {
                        histogram.observe(value);
                        counter.increment();
                    }
                });
            }
        });
        assert_eq!((histogram.read().count, counter.get()), (40_000, 40_000));
        assert_eq!(histogram.read().sum, 4.0 * 9_999.0 * 5_000.0 / 1e9);
    }
}
