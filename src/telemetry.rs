//! How the service is watched: logging, trace context, and counters and histograms without a label of any method.

pub mod logging;
pub mod metrics;
pub mod trace_context;
