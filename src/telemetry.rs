//! How the service is watched: logging, trace context, and counters and histograms without a label of any method.

pub(crate) mod logging;
pub(crate) mod metrics;
pub(crate) mod trace_context;
