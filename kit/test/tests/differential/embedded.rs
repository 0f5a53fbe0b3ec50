//! Runs a scenario in the embedded proxy.

mod exchange;
mod messages;
mod tcp;

use std::collections::BTreeSet;

use proxy_wasm_test::{
    Error, GrpcCall, GrpcReply, HttpCall, Message, Metric, Options, Proxy, Stream,
};

use crate::messages::{Reaction, Request};
use crate::observation::{Failure, Observation, Received};
use crate::progress::Progress;
use crate::scenario::{Scenario, Step};

use exchange::Exchange;
use messages::{fields, grpc_reply, received, whole};
use tcp::Connections;

/// A cluster that does not exist, and one on which nothing listens. The embedded proxy has every
/// cluster but the first.
const MISSING_CLUSTER: &str = "missing";
const DEAD_CLUSTER: &str = "dead";

/// Runs a scenario. Returns what is observed, and the progress after each step.
pub fn run(scenario: &Scenario) -> (Observation, Vec<Progress>) {
    let options = Options::new()
        .vm_id(&scenario.name)
        .plugin_name(scenario.plugin_name())
        .root_id(scenario.root_id())
        .vm_configuration(scenario.vm_configuration.as_deref().unwrap_or_default())
        .allow_on_headers_stop_iteration(scenario.stops_iteration)
        .missing_cluster(MISSING_CLUSTER);
    let mut observation = Observation::default();
    let configuration = scenario.configuration.as_deref().unwrap_or_default();
    let options = options.configuration(configuration);
    let proxy = match options.load(scenario.module.as_str()) {
        Ok(proxy) => proxy,
        Err(error) => {
            observation.log = log_of(&error);
            note(&error, &mut observation);
            return (observation, Vec::new());
        }
    };
    if scenario.is_tcp {
        proxy.set_property(&["xds", "cluster_name"], "tcp");
    }
    observation.has_started = true;
    let second = scenario.second_configuration.as_ref();
    let second = second.map(|configuration| proxy.add_plugin(configuration));
    let mut run = Run {
        scenario,
        proxy: &proxy,
        exchanges: Vec::new(),
        connections: Connections::default(),
        seen_calls: BTreeSet::new(),
        calls: Vec::new(),
        progress: Vec::new(),
    };
    let result = run.steps().and_then(|()| match second {
        Some(second) => second?.shut_down(),
        None => Ok(()),
    });
    let result = result.and_then(|()| run.end());
    run.observe(&mut observation);
    if let Err(error) = result {
        note(&error, &mut observation);
    }
    (observation, run.progress)
}

/// Adds an error to an observation.
fn note(error: &Error, observation: &mut Observation) {
    match error {
        Error::Trap(trap) if trap.reason.contains("Envoy crashes") => {
            observation.failure = Some(Failure::BreaksEnvoy);
        }
        Error::Trap(trap) => {
            // Envoy accepts such a plugin, and then does not serve.
            observation.has_started |= trap.callback == "proxy_on_context_create";
            observation.trap = Some(trap.callback.clone());
        }
        Error::Load(reason) if reason.contains("Envoy crashes") => {
            observation.failure = Some(Failure::BreaksEnvoy);
        }
        Error::VmTerminated | Error::Load(_) | Error::Rejected { .. } => {}
        Error::BreaksEnvoy(_) => observation.failure = Some(Failure::BreaksEnvoy),
        error => observation.failure = Some(Failure::Error(error.to_string())),
    }
}

fn log_of(error: &Error) -> Vec<String> {
    let log = match error {
        Error::Rejected { log, .. } => log.as_slice(),
        Error::Trap(trap) => trap.log.as_slice(),
        _ => &[],
    };
    log.iter().map(ToString::to_string).collect()
}

fn log(proxy: &Proxy) -> Vec<String> {
    proxy.log().iter().map(ToString::to_string).collect()
}

struct Run<'a> {
    scenario: &'a Scenario,
    proxy: &'a Proxy,
    exchanges: Vec<Exchange>,
    connections: Connections,
    /// The HTTP and gRPC calls that the services have seen.
    seen_calls: BTreeSet<u32>,
    calls: Vec<Received>,
    progress: Vec<Progress>,
}

impl Run<'_> {
    fn steps(&mut self) -> Result<(), Error> {
        self.run_pending()?;
        for step in &self.scenario.steps {
            match step {
                Step::Request(request) => self.request(request)?,
                Step::Disconnect => {
                    if let Some(exchange) = self.exchanges.last_mut() {
                        exchange.disconnect()?;
                    }
                }
                Step::Tcp(event) => self.connections.apply(event, self.proxy)?,
                Step::Wait { time, .. } => self.proxy.advance(*time)?,
            }
            self.run_pending()?;
            let responses = self.exchanges.iter().map(Exchange::response);
            let (clients, upstreams) = self.connections.received();
            let streams = clients.iter().chain(&upstreams);
            self.progress.push(Progress::new(responses, streams));
        }
        // Clients that still wait disconnect.
        for exchange in &mut self.exchanges {
            exchange.disconnect()?;
        }
        self.connections.end()?;
        self.run_pending()
    }

    /// Shuts the plugin down.
    fn end(&mut self) -> Result<(), Error> {
        self.proxy.shut_down()?;
        self.run_pending()
    }

    fn request(&mut self, request: &Request) -> Result<(), Error> {
        let mut builder = self.proxy.request(&request.method, &request.path);
        // Envoy removes `transfer-encoding` before an extension sees the request.
        let mut fields = request.all_fields();
        fields.retain(|(name, _)| name != "transfer-encoding");
        for (name, value) in fields {
            builder = builder.header(name, value);
        }
        let stream = if request.has_body() {
            builder.begin()?
        } else {
            builder.send()?
        };
        self.exchanges.push(Exchange::new(stream, request));
        self.run_pending()?;
        for chunk in &request.body {
            if let Some(stream) = self.last_stream() {
                stream.send_body(chunk, false)?;
            }
            self.run_pending()?;
        }
        let Some(stream) = self.last_stream() else {
            return Ok(());
        };
        if request.is_unfinished || !request.has_body() {
            return Ok(());
        }
        if request.trailers.is_empty() {
            stream.send_body("", true)
        } else {
            stream.send_trailers(request.trailers.iter().cloned().collect())
        }
    }

    fn last_stream(&self) -> Option<&Stream> {
        self.exchanges.last()?.stream()
    }

    /// Lets the upstream and the services react until nothing more happens.
    fn run_pending(&mut self) -> Result<(), Error> {
        while self.finish()? || self.respond_to_calls()? || self.proceed()? {}
        Ok(())
    }

    fn finish(&mut self) -> Result<bool, Error> {
        let mut has_finished = false;
        for exchange in &mut self.exchanges {
            has_finished |= exchange.finish()?;
        }
        Ok(has_finished)
    }

    fn respond_to_calls(&mut self) -> Result<bool, Error> {
        let mut has_responded = false;
        for call in self.proxy.http_calls() {
            if self.seen_calls.insert(call.id) {
                self.respond_to_http_call(&call)?;
                has_responded = true;
            }
        }
        for call in self.proxy.grpc_calls() {
            if self.seen_calls.insert(call.id) {
                self.respond_to_grpc_call(&call)?;
                has_responded = true;
            }
        }
        Ok(has_responded)
    }

    fn proceed(&mut self) -> Result<bool, Error> {
        let mut has_progress = false;
        for exchange in &mut self.exchanges {
            has_progress |= exchange.proceed(&self.scenario.upstream)?;
        }
        Ok(has_progress)
    }

    fn respond_to_http_call(&mut self, call: &HttpCall) -> Result<(), Error> {
        if call.cluster == DEAD_CLUSTER {
            return self.proxy.fail_call(call.id);
        }
        self.calls.push(received(Message {
            headers: call.headers.clone(),
            body: call.body.clone(),
            trailers: call.trailers.clone(),
            is_complete: true,
        }));
        let path = call.headers.values(":path").concat();
        match self.scenario.service_reaction(&path) {
            Reaction::Reply(reply) if reply.is_cut_off => self.proxy.reset_call(call.id),
            Reaction::Reply(reply) => self.proxy.respond_to_call(call.id, whole(&reply)),
            // The response of Envoy's router.
            Reaction::Reset => {
                let reason = "upstream connect error or disconnect/reset before headers. reset \
                              reason: connection termination";
                let reply = proxy_wasm_test::Reply::new(503)
                    .header("content-length", reason.len().to_string())
                    .header("content-type", "text/plain")
                    .body(reason);
                self.proxy.respond_to_call(call.id, reply)
            }
            Reaction::Silence => Ok(()),
        }
    }

    fn respond_to_grpc_call(&mut self, call: &GrpcCall) -> Result<(), Error> {
        let unavailable = |reason: &str| {
            let reason = format!(
                "upstream connect error or disconnect/reset before headers. reset reason: {reason}"
            );
            GrpcReply::new().status(14, reason)
        };
        if call.cluster == DEAD_CLUSTER {
            let reply = unavailable("remote connection failure");
            return self.proxy.respond_to_grpc_call(call.id, reply);
        }
        let path = format!("/{}/{}", call.service, call.method);
        self.calls.push(Received {
            start: format!("POST {path} {}", call.cluster),
            fields: fields(&call.metadata),
            is_complete: true,
            ..Received::default()
        });
        let reply = match self.scenario.service_reaction(&path) {
            Reaction::Reply(reply) => grpc_reply(&reply),
            Reaction::Reset => unavailable("connection termination"),
            Reaction::Silence => return Ok(()),
        };
        self.proxy.respond_to_grpc_call(call.id, reply)
    }

    fn observe(&mut self, observation: &mut Observation) {
        observation.log = log(self.proxy);
        for exchange in self.exchanges.drain(..) {
            let (response, upstream) = exchange.observe();
            observation.responses.push(response);
            observation.upstream.extend(upstream);
        }
        observation.calls = std::mem::take(&mut self.calls);
        (observation.tcp_clients, observation.tcp_upstreams) = self.connections.received();
        for name in &self.scenario.metrics {
            if let Some(Metric::Counter(value) | Metric::Gauge(value)) = self.proxy.metric(name) {
                observation.metrics.insert(name.clone(), value);
            }
        }
    }
}
