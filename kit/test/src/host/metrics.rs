//! Metrics (ABI: "Metrics").

use proxy_wasm_abi::{MetricType, Status};

use super::Host;
use crate::records::Metric;

impl Host {
    pub(crate) fn metric(&mut self, id: u32) -> Option<&mut Metric> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.metrics.get_mut(index).map(|(_, metric)| metric)
    }

    /// The identifier of the metric with this type and name. If there is none, it is created.
    pub(crate) fn define_metric(&mut self, kind: MetricType, name: Vec<u8>) -> Result<u32, Status> {
        let found = self.metrics.iter().position(|(other, metric)| {
            let same_kind = matches!(
                (kind, metric),
                (MetricType::Counter, Metric::Counter(_))
                    | (MetricType::Gauge, Metric::Gauge(_))
                    | (MetricType::Histogram, Metric::Histogram(_))
            );
            *other == name && same_kind
        });
        let index = found.unwrap_or_else(|| {
            let metric = match kind {
                MetricType::Counter => Metric::Counter(0),
                MetricType::Gauge => Metric::Gauge(0),
                MetricType::Histogram => Metric::Histogram(Vec::new()),
            };
            self.metrics.push((name, metric));
            self.metrics.len() - 1
        });
        u32::try_from(index + 1).map_err(|_| Status::InternalFailure)
    }
}
