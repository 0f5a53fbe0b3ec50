//! Measures what passes: responses by the class of their status, requests that are under way, and
//! how long they take.

use std::time::SystemTime;

use log::{error, warn};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType, Status};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::new(Plugin::default()));
}}

/// The numbers that the proxy gave our metrics. All workers count into the same ones.
#[derive(Clone, Copy, Default)]
struct Metrics {
    /// By the first digit of the status, from 1 to 5.
    responses: [u32; 5],
    active: u32,
    milliseconds: u32,
}

impl Metrics {
    /// Asks the proxy for the metrics: at the start, for a name costs more than a number.
    fn define() -> Result<Self, Status> {
        let mut responses = [0; 5];
        for (class, id) in (1..).zip(&mut responses) {
            // Envoy makes a tag of this ending by itself: response_code_class="2".
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
                error!("the proxy defines no metric: {status:?}");
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
    /// When the request came, if it has been counted as active.
    begin: Option<SystemTime>,
}

/// A metric that fails is no reason to fail a request.
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

    /// Here and not at the response: a request that is broken off has none, and ends all the same.
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
