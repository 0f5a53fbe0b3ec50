//! Metrics (ABI: "Metrics").

use proxy_wasm_abi::{MetricType, Status};

use super::{Call, Outcome};
use crate::records::Metric;

impl Call<'_> {
    pub(super) fn define_metric(
        &mut self,
        kind: u32,
        name: u32,
        name_size: u32,
        metric: u32,
    ) -> Outcome {
        let kind = MetricType::try_from(kind)?;
        let name = self.read(name, name_size)?;
        self.check([metric])?;
        let id = self.host().define_metric(kind, name)?;
        self.write_u32(metric, id)
    }

    pub(super) fn record_metric(&mut self, metric: u32, value: u64) -> Outcome {
        match self.host().metric(metric).ok_or(Status::NotFound)? {
            Metric::Counter(current) | Metric::Gauge(current) => *current = value,
            Metric::Histogram(values) => values.push(value),
        }
        Ok(())
    }

    pub(super) fn increment_metric(&mut self, metric: u32, delta: i64) -> Outcome {
        match self.host().metric(metric).ok_or(Status::NotFound)? {
            Metric::Counter(value) if delta >= 0 => *value = value.wrapping_add_signed(delta),
            Metric::Gauge(value) => *value = value.wrapping_add_signed(delta),
            // "When requested delta cannot be applied (e.g. trying to decrement counter)."
            Metric::Counter(_) | Metric::Histogram(_) => return Err(Status::BadArgument.into()),
        }
        Ok(())
    }

    pub(super) fn get_metric(&mut self, metric: u32, value: u32) -> Outcome {
        let current = match self.host().metric(metric).ok_or(Status::NotFound)? {
            Metric::Counter(current) | Metric::Gauge(current) => *current,
            Metric::Histogram(_) => return Err(Status::BadArgument.into()),
        };
        self.write_u64(value, current)
    }
}
