//! What several rooms count in, and the one list of latency buckets. Names and help texts are in `management::metrics`.

pub(crate) use prometheus_client::metrics::counter::Counter;
pub(crate) use prometheus_client::metrics::histogram::Histogram;

/// Upper bounds in seconds: from a read out of memory (some 15 µs) to a write that exceeds its deadline (5 s).
const LATENCY: [f64; 19] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// A histogram of seconds.
pub(crate) fn latency() -> Histogram {
    Histogram::new(LATENCY)
}
