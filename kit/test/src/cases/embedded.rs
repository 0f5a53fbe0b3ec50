//! Cases in the embedded proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::format::{Case, FailureKind, GrpcCallResponse, Reply, Request};
use super::json::{CaseConfiguration, PropertyValue};
use super::messages::fields;
use super::observed::{
    Held, ObservedExchange, ObservedGrpcCall, ObservedMetrics, ObservedRequest, ObservedResponse,
};
use super::pattern::Bytes;
use super::session::{ProxySession, Services, Stop};
use super::text::Text;
use crate::error::Error;
use crate::grpc::GrpcReply;
use crate::message::Response;
use crate::module::Module;
use crate::options::Options;
use crate::proxy::Proxy;
use crate::records::LogLine;
use crate::stream::Stream;

const NO_TIMEOUT: &str = "the service does not respond, and the call has no timeout: set one in the \
                          extension, or write failure: reset";

/// An extension in the embedded proxy, while a case runs.
pub struct EmbeddedSession {
    /// The plugin with the newest configuration that was accepted.
    plugin: Proxy,
    /// Plugins with older configurations, which serve the requests that they have begun.
    retired: Vec<Proxy>,
    is_configured: bool,
    properties: Vec<(String, Vec<u8>)>,
    /// How many requests are in flight.
    depth: u32,
    services: Services,
    /// The calls that have been received.
    received: BTreeSet<CallId>,
    /// Those of them to which a service responds later.
    waiting: Vec<Waiting>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum CallId {
    Http(u32),
    Grpc(u32),
}

/// A call to which a service responds, or which times out, at a time.
struct Waiting {
    due: Duration,
    id: CallId,
    response: CallResponse,
}

enum CallResponse {
    Http(Reply),
    Grpc(GrpcCallResponse),
}

impl EmbeddedSession {
    /// Loads a module for a case.
    pub fn load(module: &Module, case: &Case) -> Result<Self, Stop> {
        let plugin = options(case).load(module.clone()).map_err(stop)?;
        let properties = case.properties.0.iter();
        Ok(Self {
            plugin,
            retired: Vec::new(),
            is_configured: false,
            properties: properties
                .map(|(path, value)| (path.clone(), value.encode()))
                .collect(),
            depth: 0,
            services: Services::default(),
            received: BTreeSet::new(),
            waiting: Vec::new(),
        })
    }

    fn set_properties(&self) {
        for (path, value) in &self.properties {
            let path: Vec<_> = path.split('.').collect();
            self.plugin.set_property(&path, value);
        }
    }

    /// Receives the calls that the extension has made, and responds to them, each at its time.
    fn respond_to_calls(&mut self) -> Result<(), Stop> {
        loop {
            self.receive_http_calls()?;
            self.receive_grpc_calls()?;
            let next = self.waiting.iter().enumerate();
            // If several are due at the same time, the one that was made first is next.
            let Some((place, _)) = next.min_by_key(|(_, waiting)| waiting.due) else {
                return Ok(());
            };
            let Waiting { due, id, response } = self.waiting.remove(place);
            let now = self.plugin.time();
            let rest = due.saturating_sub(now);
            self.plugin.advance(rest).map_err(stop)?;
            self.respond_to_call(id, &response)?;
        }
    }

    fn receive_http_calls(&mut self) -> Result<(), Stop> {
        for call in self.plugin.http_calls() {
            let id = CallId::Http(call.id);
            if !self.received.insert(id) {
                continue;
            }
            let request = ObservedRequest::new(call.headers, call.body, call.trailers);
            // If the case does not describe the call, it gets no response, and the result reports it.
            if let Some(call_of_case) = self.services.make(&call.cluster, request) {
                let response = call_of_case.response;
                let due = match response.failure {
                    Some(FailureKind::Timeout) if call.timeout.is_zero() => {
                        return Err(Stop::Failed(NO_TIMEOUT.to_owned()));
                    }
                    Some(FailureKind::Timeout) => call.timeout,
                    _ => response.delay.0,
                };
                self.wait(id, due, CallResponse::Http(response));
            }
        }
        Ok(())
    }

    fn receive_grpc_calls(&mut self) -> Result<(), Stop> {
        for call in self.plugin.grpc_calls() {
            let id = CallId::Grpc(call.id);
            if !self.received.insert(id) {
                continue;
            }
            let made = ObservedGrpcCall {
                service: call.service,
                method: call.method,
                metadata: call.metadata,
                message: call.messages.concat(),
            };
            if let Some(call_of_case) = self.services.make_grpc(&call.cluster, made) {
                let response = call_of_case.response;
                let due = match call.timeout {
                    _ if !response.timeout => response.delay.0,
                    Some(timeout) if !timeout.is_zero() => timeout,
                    _ => return Err(Stop::Failed(NO_TIMEOUT.to_owned())),
                };
                self.wait(id, due, CallResponse::Grpc(response));
            }
        }
        Ok(())
    }

    fn wait(&mut self, id: CallId, delay: Duration, response: CallResponse) {
        let due = self.plugin.time().saturating_add(delay);
        self.waiting.push(Waiting { due, id, response });
    }

    /// Responds to a call, unless it has timed out or the extension has cancelled it.
    fn respond_to_call(&self, id: CallId, response: &CallResponse) -> Result<(), Stop> {
        match (id, response) {
            (CallId::Http(id), CallResponse::Http(response)) => {
                if !self.plugin.http_calls().iter().any(|call| call.id == id) {
                    return Ok(());
                }
                match response.failure {
                    None => self.plugin.respond_to_call(id, response.reply("GET")),
                    Some(FailureKind::Reset) if response.status.is_some() => {
                        self.plugin.reset_call(id)
                    }
                    Some(FailureKind::Timeout) => Ok(()),
                    Some(_) => self.plugin.fail_call(id),
                }
            }
            (CallId::Grpc(id), CallResponse::Grpc(response)) => {
                if !self.plugin.grpc_calls().iter().any(|call| call.id == id) {
                    return Ok(());
                }
                self.plugin.respond_to_grpc_call(id, response.reply())
            }
            _ => Ok(()),
        }
        .map_err(stop)
    }

    fn build(&self, request: &Request) -> crate::stream::Request {
        let outgoing = request.outgoing();
        let mut built = self.plugin.request(&outgoing.method, &outgoing.path);
        for (name, value) in outgoing.headers.bytes() {
            built = built.header(name, value);
        }
        for chunk in outgoing.chunks {
            built = built.body(chunk);
        }
        for (name, value) in outgoing.trailers.iter().flat_map(crate::Headers::bytes) {
            built = built.trailer(name, value);
        }
        built
    }

    /// Lets the upstream respond, or fail.
    fn respond(
        &mut self,
        stream: &Stream,
        method: &str,
        upstream: &Reply,
    ) -> Result<Response, Error> {
        if stream.upstream().is_none() || stream.has_local_response() {
            return stream.respond(upstream.reply(method));
        }
        match upstream.failure {
            None => return stream.respond(upstream.reply(method)),
            Some(_) if upstream.status.is_some() => {
                stream.begin_response(upstream.reply(method))?;
                stream.reset_upstream()?;
            }
            Some(_) => stream.reset_upstream()?,
        }
        stream.finish()
    }

    fn run_exchange(
        &mut self,
        request: &Request,
        upstream: &Reply,
        meanwhile: &mut dyn FnMut(&mut Self) -> Result<(), Stop>,
    ) -> Result<ObservedExchange, Stop> {
        let stream = self.build(request).send().map_err(stop)?;
        self.respond_to_calls()?;
        meanwhile(self)?;
        let delay = upstream.delay.0;
        if !delay.is_zero() {
            self.plugin.advance(delay).map_err(stop)?;
        }
        self.respond_to_calls()?;
        let mut observed = ObservedExchange {
            upstream_request: received(&stream),
            held: Some(Held::Nothing),
            ..ObservedExchange::default()
        };
        let method = request.method.as_deref().unwrap_or("GET");
        let mut result = self.respond(&stream, method, upstream);
        if matches!(result, Err(Error::Paused("response"))) {
            self.respond_to_calls()?;
            observed.upstream_request = received(&stream);
            result = stream.finish();
        }
        match result {
            Ok(response) => observed.add_response(&response),
            Err(Error::Paused("request")) => observed.held = Some(Held::Request),
            Err(Error::Paused(_)) => observed.held = Some(Held::Response),
            Err(Error::StreamReset) => observed.is_reset = true,
            Err(error) => return Err(stop(error)),
        }
        Ok(observed)
    }
}

impl ProxySession for EmbeddedSession {
    fn configure(&mut self, configuration: &CaseConfiguration) -> Result<(), Stop> {
        let bytes = match configuration {
            CaseConfiguration::Absent => &[][..],
            CaseConfiguration::Bytes(bytes) => bytes,
        };
        if self.is_configured {
            let plugin = self.plugin.add_plugin(bytes).map_err(stop)?;
            self.retired
                .push(std::mem::replace(&mut self.plugin, plugin));
            self.set_properties();
        } else {
            self.is_configured = true;
            self.set_properties();
            self.plugin.reconfigure(bytes).map_err(stop)?;
        }
        self.respond_to_calls()
    }

    fn exchange(
        &mut self,
        request: &Request,
        upstream: &Reply,
        meanwhile: &mut dyn FnMut(&mut Self) -> Result<(), Stop>,
    ) -> Result<ObservedExchange, Stop> {
        if request.reset {
            let stream = self.build(request).begin().map_err(stop)?;
            self.respond_to_calls()?;
            meanwhile(self)?;
            let upstream_request = received(&stream);
            stream.reset().map_err(stop)?;
            return Ok(ObservedExchange {
                upstream_request,
                held: Some(Held::Nothing),
                ..ObservedExchange::default()
            });
        }
        self.depth += 1;
        let observed = self.run_exchange(request, upstream, meanwhile);
        self.depth -= 1;
        observed
    }

    fn advance(&mut self, duration: Duration) -> Result<(), Stop> {
        self.plugin.advance(duration).map_err(stop)?;
        self.respond_to_calls()
    }

    fn services(&mut self) -> &mut Services {
        &mut self.services
    }

    fn finish_calls(&mut self, _id: usize) -> Result<(), Stop> {
        self.respond_to_calls()?;
        if self.depth == 0 {
            for plugin in std::mem::take(&mut self.retired) {
                plugin.shut_down().map_err(stop)?;
            }
        }
        Ok(())
    }

    fn log(&mut self) -> Result<Vec<LogLine>, Stop> {
        Ok(self.plugin.log())
    }

    fn metrics(&mut self, names: &[&str]) -> Result<ObservedMetrics, Stop> {
        let metric = |name: &&str| ((*name).to_owned(), self.plugin.metric(name));
        Ok(names.iter().map(metric).collect())
    }

    fn host_calls(&mut self) -> Option<BTreeMap<&'static str, u64>> {
        Some(self.plugin.host_calls())
    }
}

/// What the upstream has received.
fn received(stream: &Stream) -> Option<ObservedRequest> {
    let message = stream.upstream()?;
    let request = ObservedRequest::new(message.headers, message.body, message.trailers);
    Some(request)
}

impl ObservedExchange {
    fn add_response(&mut self, response: &Response) {
        let mut headers = response.headers().clone();
        headers.remove(":status");
        self.response = Some(ObservedResponse {
            status: response.status(),
            headers,
            body: response.body().to_vec(),
            trailers: response.trailers().clone(),
            is_local: Some(response.is_local()),
        });
        self.fuel = Some(response.fuel());
        let mut host_calls = BTreeMap::new();
        for call in response.host_calls() {
            *host_calls.entry(call.name).or_default() += 1;
        }
        self.host_calls = Some(host_calls);
    }
}

impl GrpcCallResponse {
    fn reply(&self) -> GrpcReply {
        let status_message = self.status_message.clone().unwrap_or_default();
        let mut reply = GrpcReply::new().status(self.status, status_message);
        for (name, value) in fields(&self.metadata).bytes() {
            reply = reply.metadata(name, value);
        }
        for Bytes(message) in &self.message.0 {
            reply = reply.message(message);
        }
        if self.message.0.is_empty() && self.status == 0 {
            reply = reply.message([]);
        }
        for (name, value) in fields(&self.trailers).bytes() {
            reply = reply.trailer(name, value);
        }
        reply
    }
}

impl PropertyValue {
    /// The bytes that the extension reads (`properties`).
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Int(value) => value.to_le_bytes().to_vec(),
            Self::Bool(value) => vec![u8::from(*value)],
        }
    }
}

fn options(case: &Case) -> Options {
    let given = &case.options;
    let mut options =
        Options::new().allow_on_headers_stop_iteration(given.allow_on_headers_stop_iteration);
    if let Some(root_id) = &given.root_id {
        options = options.root_id(root_id);
    }
    if let Some(name) = &given.plugin_name {
        options = options.plugin_name(name);
    }
    if let Some(configuration) = &given.vm_configuration {
        options = options.vm_configuration(configuration);
    }
    for (name, Text(value)) in &given.environment.0 {
        options = options.environment(name, value);
    }
    if let Some(bytes) = given.buffer_limit {
        options = options.buffer_limit(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    for cluster in &given.missing_clusters {
        options = options.missing_cluster(cluster);
    }
    options
}

fn stop(error: Error) -> Stop {
    match error {
        Error::Rejected { log, .. } => {
            let lines: Vec<_> = log.into_iter().map(|line| line.message).collect();
            Stop::Rejected(lines.join("\n"))
        }
        error => Stop::Failed(error.to_string()),
    }
}
