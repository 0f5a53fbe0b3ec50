//! Metrics (ABI: "Metrics").

use proxy_wasm_abi::{MetricType, Status};

use super::{ActiveCall, HostCallResult};
use crate::host::metric_type;
use crate::records::Metric;

impl ActiveCall<'_> {
    pub(super) fn define_metric(
        &mut self,
        kind: u32,
        name: u32,
        name_size: u32,
        metric: u32,
    ) -> HostCallResult {
        let name = self.read(name, name_size)?;
        let kind = MetricType::try_from(kind)?;
        let id = self.host().metrics.define(kind, name)?;
        self.write_u32(metric, id)
    }

    pub(super) fn record_metric(&mut self, metric: u32, value: u64) -> HostCallResult {
        match self.host().metrics.get(metric).ok_or(Status::NotFound)? {
            // As in Envoy, the value is added.
            Metric::Counter(current) => *current = current.wrapping_add(value),
            Metric::Gauge(current) => *current = value,
            Metric::Histogram(values) => values.push(value),
        }
        Ok(())
    }

    pub(super) fn increment_metric(&mut self, metric: u32, delta: i64) -> HostCallResult {
        let number = self.host().metrics.number(metric)?;
        // As in Envoy, also for zero.
        if delta <= 0 && metric_type(metric)? == MetricType::Counter {
            return Err(Status::BadArgument.into());
        }
        *number = number.wrapping_add_signed(delta);
        Ok(())
    }

    pub(super) fn get_metric(&mut self, metric: u32, value: u32) -> HostCallResult {
        let current = *self.host().metrics.number(metric)?;
        self.write_u64(value, current)
    }
}
