//! Writing metrics one after another.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use crate::telemetry::metrics::HistogramSnapshot;

/// The labels of a metric that has none.
pub(super) const NO_LABELS: [(&str, &str); 0] = [];

/// What is being written.
pub(super) struct MetricsEncoder<'a>(pub(super) DescriptorEncoder<'a>);

impl MetricsEncoder<'_> {
    /// A counter; `_total` is added to its name.
    pub(super) fn counter<L: EncodeLabelSet, V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in rows {
            metric.encode_family(&labels)?.encode_counter::<NoLabelSet, V, u64>(&value, None)?;
        }
        Ok(())
    }

    /// A gauge with one value, or with none when it is not known.
    pub(super) fn gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: Option<V>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        match value {
            Some(value) => metric.encode_gauge(&value),
            None => Ok(()),
        }
    }

    /// A histogram.
    pub(super) fn histogram<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (L, HistogramSnapshot)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, read) in rows {
            metric.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                read.sum,
                read.count,
                &read.buckets,
                None,
            )?;
        }
        Ok(())
    }

    /// Something about the program that does not change; `_info` is added to its name.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &impl EncodeLabelSet) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(labels)
    }
}
