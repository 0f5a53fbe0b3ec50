//! Defines metrics: responses by status class, requests in progress, and their duration.

use std::time::SystemTime;

use log::{error, warn};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType, Status};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Plugin::default()));
}}

/// The identifiers of the metrics. All workers update the same metrics.
#[derive(Clone, Copy, Default)]
struct Metrics {
    /// By the first digit of the status, from 1 to 5.
    responses: [u32; 5],
    active: u32,
    milliseconds: u32,
}

impl Metrics {
    /// Defines the metrics once, because finding a metric by name costs more than by identifier.
    fn define() -> Result<Self, Status> {
        let mut responses = [0; 5];
        for (class, id) in (1..).zip(&mut responses) {
            // Envoy extracts a tag from this suffix: response_code_class="2".
            let name = format!("example_rq_{class}xx");
            *id = hostcalls::define_metric(MetricType::Counter, &name)?;
        }
        Ok(Self {
            responses,
            active: hostcalls::define_metric(MetricType::Gauge, "example_active")?,
            milliseconds: hostcalls::define_metric(MetricType::Histogram, "example_milliseconds")?,
        })
    }
}

#[derive(Default)]
struct Plugin {
    metrics: Metrics,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_configure(&mut self, _configuration_size: usize) -> bool {
        match Metrics::define() {
            Ok(metrics) => {
                self.metrics = metrics;
                true
            }
            Err(status) => {
                error!("cannot define a metric: {status:?}");
                false
            }
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(RequestMetrics {
            metrics: self.metrics,
            begin: None,
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct RequestMetrics {
    metrics: Metrics,
    /// The start of the request, if it was counted as active.
    begin: Option<SystemTime>,
}

/// Requests continue if a metric cannot be updated.
fn report(result: Result<(), Status>) {
    if let Err(status) = result {
        warn!("a metric was not recorded: {status:?}");
    }
}

impl Context for RequestMetrics {}

impl HttpContext for RequestMetrics {
    fn on_http_request_headers(&mut self, _header_count: usize, _end_of_stream: bool) -> Action {
        self.begin = Some(self.get_current_time());
        report(hostcalls::increment_metric(self.metrics.active, 1));
        Action::Continue
    }

    /// `on_log` is also called for requests that are reset and have no response.
    fn on_log(&mut self) {
        let Some(begin) = self.begin else { return };
        report(hostcalls::increment_metric(self.metrics.active, -1));
        if let Ok(elapsed) = self.get_current_time().duration_since(begin) {
            let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
            let id = self.metrics.milliseconds;
            report(hostcalls::record_metric(id, milliseconds));
        }
        let status = self.get_http_response_header_bytes(":status");
        let class = status.and_then(|status| status.first().copied()?.checked_sub(b'1'));
        if let Some(&id) = class.and_then(|class| self.metrics.responses.get(usize::from(class))) {
            report(hostcalls::increment_metric(id, 1));
        }
    }
}
