//! Metrics (ABI: "Metrics").

use proxy_wasm_abi::{MetricType, Status};

use crate::records::Metric;

/// The metrics of a VM. As in Envoy, each call of `proxy_define_metric` returns a new identifier,
/// also for a metric that exists.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    metrics: Vec<(Vec<u8>, Metric)>,
    /// The indexes of the metrics, by type and identifier: see [`Metrics::define`].
    identifiers: [Vec<usize>; 3],
}

impl Metrics {
    /// An identifier of the metric with this type and name. If there is none, it is created.
    ///
    /// As in Envoy, the two lowest bits of an identifier are the type, and the others count from 1.
    pub(crate) fn define(&mut self, kind: MetricType, name: Vec<u8>) -> Result<u32, Status> {
        let found = self
            .metrics
            .iter()
            .position(|(other, metric)| *other == name && type_of(metric) == kind);
        let index = found.unwrap_or_else(|| {
            let metric = match kind {
                MetricType::Counter => Metric::Counter(0),
                MetricType::Gauge => Metric::Gauge(0),
                MetricType::Histogram => Metric::Histogram(Vec::new()),
            };
            self.metrics.push((name, metric));
            self.metrics.len() - 1
        });
        let identifiers = &mut self.identifiers[kind as usize];
        identifiers.push(index);
        let count = u32::try_from(identifiers.len()).map_err(|_| Status::InternalFailure)?;
        let identifier = count.checked_mul(4).ok_or(Status::InternalFailure)?;
        Ok(identifier | u32::from(kind))
    }

    /// The metric with an identifier.
    pub(crate) fn get(&mut self, identifier: u32) -> Option<&mut Metric> {
        let identifiers = &self.identifiers[metric_type(identifier).ok()? as usize];
        let place = usize::try_from((identifier >> 2).checked_sub(1)?).ok()?;
        let (_, metric) = self.metrics.get_mut(*identifiers.get(place)?)?;
        Some(metric)
    }

    /// As [`Metrics::get`], for the number of a counter or gauge.
    ///
    /// # Errors
    ///
    /// `NOT_FOUND` for an unknown identifier, `BAD_ARGUMENT` if it is not that of a counter or gauge.
    pub(crate) fn number(&mut self, identifier: u32) -> Result<&mut u64, Status> {
        match metric_type(identifier)? {
            MetricType::Counter | MetricType::Gauge => match self.get(identifier) {
                Some(Metric::Counter(number) | Metric::Gauge(number)) => Ok(number),
                _ => Err(Status::NotFound),
            },
            MetricType::Histogram => Err(Status::BadArgument),
        }
    }

    /// The first metric of this name.
    pub(crate) fn named(&self, name: &[u8]) -> Option<&Metric> {
        let mut metrics = self.metrics.iter();
        let (_, metric) = metrics.find(|(other, _)| other == name)?;
        Some(metric)
    }
}

/// The type in an identifier, whether the metric exists or not.
pub(crate) fn metric_type(identifier: u32) -> Result<MetricType, Status> {
    Ok(MetricType::try_from(identifier & 3)?)
}

fn type_of(metric: &Metric) -> MetricType {
    match metric {
        Metric::Counter(_) => MetricType::Counter,
        Metric::Gauge(_) => MetricType::Gauge,
        Metric::Histogram(_) => MetricType::Histogram,
    }
}
