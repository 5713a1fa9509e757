//! Encoding values that are read at the scrape, under the types of `prometheus_client`.

use std::fmt::Result;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, EncodeLabelSet, EncodeMetric,
};
use prometheus_client::metrics::TypedMetric;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

const NO_LABELS: [(&str, &str); 0] = [];

pub(super) struct MetricsEncoder<'a>(pub(super) DescriptorEncoder<'a>);

/// A value is `None` while it is unknown.
impl MetricsEncoder<'_> {
    /// A metric with its series; also described when there are none.
    pub(super) fn family<L: EncodeLabelSet, M: EncodeMetric + TypedMetric>(
        &mut self,
        name: &str,
        help: &str,
        series: impl IntoIterator<Item = (L, M)>,
    ) -> Result {
        let mut metric = self.0.encode_descriptor(name, help, None, M::TYPE)?;
        for (labels, value) in series {
            value.encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }

    /// A metric without labels.
    pub(super) fn single<M>(&mut self, name: &str, help: &str, value: Option<M>) -> Result
    where
        M: EncodeMetric + TypedMetric,
    {
        self.family(name, help, value.map(|value| (NO_LABELS, value)))
    }

    /// `_total` is added to the name.
    pub(super) fn counter<V>(&mut self, name: &str, help: &str, value: Option<V>) -> Result
    where
        V: EncodeCounterValue,
    {
        self.single(name, help, value.map(ConstCounter::new))
    }

    pub(super) fn gauge<V: EncodeGaugeValue>(&mut self, name: &str, help: &str, value: Option<V>) -> Result {
        self.single(name, help, value.map(ConstGauge::new))
    }
}
