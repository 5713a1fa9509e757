//! Encoding values that are read at the scrape, under the types of `prometheus_client`.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, EncodeMetric,
};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::{MetricType, TypedMetric};

const NO_LABELS: [(&str, &str); 0] = [];

pub(super) struct MetricsEncoder<'a>(pub(super) DescriptorEncoder<'a>);

impl MetricsEncoder<'_> {
    /// A metric with its series; also described when there are none.
    pub(super) fn family<L: EncodeLabelSet, M: EncodeMetric + TypedMetric>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, M)>,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, M::TYPE)?;
        for (labels, value) in series {
            value.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// A metric without labels; `None` while it is unknown.
    pub(super) fn single<M: EncodeMetric + TypedMetric>(
        &mut self,
        name: &str,
        help: &str,
        value: Option<M>,
    ) -> fmt::Result {
        self.family(name, help, value.map(|value| (NO_LABELS, value)))
    }

    /// `_total` is added to the name.
    pub(super) fn counter<V: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        value: Option<V>,
    ) -> fmt::Result {
        self.single(name, help, value.map(ConstCounter::new))
    }

    pub(super) fn gauge<V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        value: Option<V>,
    ) -> fmt::Result {
        self.single(name, help, value.map(ConstGauge::new))
    }

    /// Something about the program that does not change; `_info` is added to the name.
    pub(super) fn info(&mut self, name: &str, help: &str, labels: &impl EncodeLabelSet) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(labels)
    }
}
