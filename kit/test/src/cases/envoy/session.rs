//! A case that runs in an Envoy.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::grpc;
use super::plan::{Plan, UPSTREAM};
use super::process::EnvoyProcess;
use super::resources;
use super::server::{self, ReceivedRequest, ServiceAction};
use crate::cases::client;
use crate::cases::format::{Call, Case, FailureKind, ProxyOptions, Reply, Request};
use crate::cases::json::CaseConfiguration;
use crate::cases::observed::{
    ObservedExchange, ObservedMetrics, ObservedRequest, ObservedResponse,
};
use crate::cases::session::{ProxySession, Services, Stop};
use crate::error::Error;
use crate::message::Message;
use crate::records::{LogLine, Metric};

/// If nothing happens to a request for twice this time, it counts as held by the extension.
const QUIET_TIME: Duration = Duration::from_millis(1500);

/// The longest timeout of a call.
const MAX_CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The listener of a case, and the events of its client and services.
pub struct EnvoySession<'a> {
    envoy: &'a mut EnvoyProcess,
    module: &'a Path,
    options: ProxyOptions,
    /// The name of the listener, and the VM ID.
    name: String,
    /// The listeners of gRPC services.
    translators: Vec<Value>,
    address: Option<SocketAddr>,
    events: Receiver<SessionEvent>,
    sender: Sender<SessionEvent>,
    services: Services,
    /// Where the log of the case begins.
    log_start: u64,
    /// What the extension has logged when a configuration was rejected, with the number of other lines
    /// before it.
    rejected_lines: Vec<(usize, Vec<LogLine>)>,
    /// The number of clients so far.
    clients: usize,
    /// What clients have received, by the number of the client, until `run_exchange` takes it.
    responses: BTreeMap<usize, std::io::Result<Message>>,
    /// Calls to which no service responds, until the case ends.
    pending: Vec<ReceivedRequest>,
    /// How long calls may still take.
    call_time: Duration,
}

#[derive(Debug)]
enum SessionEvent {
    Received(ReceivedRequest),
    /// What the client with this number has received.
    Response(usize, std::io::Result<Message>),
}

impl<'a> EnvoySession<'a> {
    /// Starts the services of a case.
    pub fn start(
        envoy: &'a mut EnvoyProcess,
        module: &'a Path,
        case: &Case,
        plan: &Plan,
    ) -> Result<Self, Error> {
        let (sender, events) = mpsc::channel();
        let barrier = envoy.barrier();
        let serve = |cluster: &str| {
            let sender = sender.clone();
            let on_request = move |received| sender.send(SessionEvent::Received(received)).is_ok();
            server::start(cluster, barrier, on_request).map_err(Error::io("listen on 127.0.0.1"))
        };
        let mut clusters = Vec::new();
        for (name, is_reachable) in &plan.clusters {
            let address = is_reachable.then(|| serve(name)).transpose()?;
            clusters.push(resources::cluster(name, address, &case.options));
        }
        let name = envoy.next_name();
        let mut translators = Vec::new();
        for (number, cluster) in plan.grpc_clusters.keys().enumerate() {
            let socket = envoy.path(&format!("{name}-{number}.sock"));
            let service = format!("{name}-grpc-{number}");
            let address = serve(&grpc::key(cluster))?;
            clusters.push(resources::grpc_cluster(cluster, &socket));
            clusters.push(resources::cluster(&service, Some(address), &case.options));
            translators.push(resources::grpc_translator(&service, &socket, &service));
        }
        envoy.set_clusters(&clusters)?;
        let log_start = envoy.log_length();
        Ok(Self {
            envoy,
            module,
            options: case.options.clone(),
            name,
            translators,
            address: None,
            events,
            sender,
            services: Services::default(),
            log_start,
            rejected_lines: Vec::new(),
            clients: 0,
            responses: BTreeMap::new(),
            pending: Vec::new(),
            call_time: Duration::ZERO,
        })
    }

    fn address(&self) -> Result<SocketAddr, Stop> {
        let failed = || Stop::Failed("the extension has no listener".to_owned());
        self.address.ok_or_else(failed)
    }

    /// Waits for the next event. `None`: Envoy's worker is idle, and no event follows.
    fn next(&mut self) -> Option<SessionEvent> {
        if let Ok(event) = self.events.recv_timeout(QUIET_TIME + self.call_time) {
            return Some(event);
        }
        // On a busy machine, the worker may not have run. If it does not respond, no event will follow.
        self.envoy.barrier().wait().ok()?;
        self.events.recv_timeout(QUIET_TIME).ok()
    }

    /// Responds to a call of the extension.
    fn respond(&mut self, received: ReceivedRequest) {
        let ReceivedRequest {
            cluster,
            message,
            action,
        } = received;
        let response = match grpc::cluster(&cluster) {
            Some(cluster) => {
                let made = grpc::received(&message);
                let call = self.services.make_grpc(cluster, made);
                call.map(|call| {
                    let is_timeout = call.response.timeout;
                    let delay = call.response.delay.0;
                    let reply = ServiceAction::Reply(delay, grpc::reply(&call.response));
                    (delay, (!is_timeout).then_some(reply))
                })
            }
            None => {
                let method = text(&message, ":method");
                let call = self.services.make(&cluster, observed(&message));
                call.map(|call| action_of(&call, &method))
            }
        };
        match response {
            Some((delay, Some(reply))) => {
                self.call_time = self.call_time.max(delay);
                // The connection may be closed by now.
                let _ = action.send(reply);
            }
            Some((_, None)) => {
                self.call_time = MAX_CALL_TIMEOUT;
                self.hold(cluster, message, action);
            }
            None => self.hold(cluster, message, action),
        }
    }

    fn hold(&mut self, cluster: String, message: Message, action: Sender<ServiceAction>) {
        self.pending.push(ReceivedRequest {
            cluster,
            message,
            action,
        });
    }

    fn run_exchange(
        &mut self,
        request: &Request,
        upstream: &Reply,
        meanwhile: &mut dyn FnMut(&mut Self) -> Result<(), Stop>,
    ) -> Result<ObservedExchange, Stop> {
        let (address, barrier) = (self.address()?, self.envoy.barrier());
        let outgoing = request.outgoing();
        let (sender, method) = (self.sender.clone(), outgoing.method.clone());
        self.clients += 1;
        let client = self.clients;
        thread::spawn(move || {
            let response = client::exchange(address, &outgoing, || barrier.wait());
            // If the case has ended, nothing reads it.
            let _ = sender.send(SessionEvent::Response(client, response));
        });
        let mut exchange = ObservedExchange::default();
        let mut has_waited = false;
        loop {
            if let Some(response) = self.responses.remove(&client) {
                exchange.set_response(response);
                break;
            }
            match self.next() {
                Some(SessionEvent::Received(received)) if received.cluster == UPSTREAM => {
                    exchange.upstream_request = Some(observed(&received.message));
                    if !std::mem::replace(&mut has_waited, true) {
                        meanwhile(self)?;
                    }
                    self.call_time = self.call_time.max(upstream.delay.0);
                    // The connection may be closed by now.
                    let _ = received.action.send(action_of_reply(upstream, &method));
                }
                Some(event) => self.on_event(event),
                None if has_waited => break,
                None => {
                    has_waited = true;
                    meanwhile(self)?;
                }
            }
        }
        self.call_time = Duration::ZERO;
        self.wait_for_callbacks()?;
        Ok(exchange)
    }

    fn on_event(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Received(received) => self.respond(received),
            SessionEvent::Response(client, response) => {
                self.responses.insert(client, response);
            }
        }
    }

    /// Waits until the worker has called the callbacks at the end of a stream, and looks for traps.
    fn wait_for_callbacks(&self) -> Result<(), Stop> {
        let waited = self.envoy.barrier().wait();
        waited.map_err(|error| Stop::Failed(format!("Envoy does not respond: {error}")))?;
        match self.envoy.trap(self.log_start) {
            Some(trap) => Err(Stop::Failed(trap)),
            None => Ok(()),
        }
    }

    fn worker_lines(&self) -> Vec<LogLine> {
        let entries = self.envoy.entries(self.log_start, &self.name);
        let lines = entries
            .into_iter()
            .filter(|entry| !self.envoy.is_of_main_thread(entry));
        lines.map(|entry| entry.line).collect()
    }

    /// Why Envoy has rejected a configuration: what the extension has logged in the main thread, which
    /// checks the configuration first.
    fn rejection(&mut self, log_start: u64) -> Stop {
        let entries = self.envoy.entries(log_start, &self.name);
        let lines: Vec<_> = entries.into_iter().map(|entry| entry.line).collect();
        if lines.is_empty() {
            let log = self.envoy.readable_log(log_start);
            return Stop::Rejected(format!("the extension logs nothing; Envoy logs:\n{log}"));
        }
        let messages: Vec<_> = lines.iter().map(|line| line.message.as_str()).collect();
        let stop = Stop::Rejected(messages.join("\n"));
        self.rejected_lines.push((self.worker_lines().len(), lines));
        stop
    }
}

impl ProxySession for EnvoySession<'_> {
    fn configure(&mut self, configuration: &CaseConfiguration) -> Result<(), Stop> {
        let extension = resources::extension(&self.name, self.module, configuration, &self.options);
        let mut listeners = self.translators.clone();
        listeners.push(extension);
        let log_start = self.envoy.log_length();
        match self
            .envoy
            .set_listeners(&self.name, listeners)
            .map_err(failed)?
        {
            Some(address) => {
                self.address = Some(address);
                self.wait_for_callbacks()
            }
            None => Err(self.rejection(log_start)),
        }
    }

    fn exchange(
        &mut self,
        request: &Request,
        upstream: &Reply,
        meanwhile: &mut dyn FnMut(&mut Self) -> Result<(), Stop>,
    ) -> Result<ObservedExchange, Stop> {
        if !request.reset {
            return self.run_exchange(request, upstream, meanwhile);
        }
        let barrier = self.envoy.barrier();
        let address = self.address()?;
        let connection = client::begin(address, &request.outgoing(), || barrier.wait());
        let connection = connection.map_err(|error| Stop::Failed(error.to_string()))?;
        meanwhile(self)?;
        drop(connection);
        self.wait_for_callbacks()?;
        Ok(ObservedExchange::default())
    }

    fn advance(&mut self, duration: Duration) -> Result<(), Stop> {
        let deadline = Instant::now() + duration;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(rest) {
                Ok(event) => self.on_event(event),
                Err(_) => return self.wait_for_callbacks(),
            }
        }
    }

    fn services(&mut self) -> &mut Services {
        &mut self.services
    }

    fn finish_calls(&mut self, id: usize) -> Result<(), Stop> {
        self.services.remove_unreachable();
        while let Ok(event) = self.events.try_recv() {
            self.on_event(event);
        }
        while !self.services.is_complete(id) {
            match self.next() {
                Some(event) => self.on_event(event),
                None => break,
            }
        }
        self.wait_for_callbacks()
    }

    fn log(&mut self) -> Result<Vec<LogLine>, Stop> {
        let mut log = self.worker_lines();
        for (place, lines) in self.rejected_lines.iter().rev() {
            let place = (*place).min(log.len());
            log.splice(place..place, lines.iter().cloned());
        }
        Ok(log)
    }

    fn metrics(&mut self, names: &[&str]) -> Result<ObservedMetrics, Stop> {
        let admin = self.envoy.admin();
        let values = admin.stats("wasmcustom").map_err(failed)?;
        let text = admin.text("/stats?filter=wasmcustom").map_err(failed)?;
        let mut metrics = ObservedMetrics::new();
        for name in names {
            let stat = format!("wasmcustom.{name}");
            if let Some(value) = values.get(&stat) {
                // Envoy's statistics do not distinguish counters and gauges.
                metrics.insert((*name).to_owned(), Some(Metric::Counter(*value)));
            } else if !text
                .lines()
                .any(|line| line.starts_with(&format!("{stat}: ")))
            {
                metrics.insert((*name).to_owned(), None);
            }
        }
        Ok(metrics)
    }

    fn host_calls(&mut self) -> Option<BTreeMap<&'static str, u64>> {
        None
    }
}

impl ObservedExchange {
    fn set_response(&mut self, response: std::io::Result<Message>) {
        let Ok(message) = response else {
            self.is_reset = true;
            return;
        };
        let status = message.headers.status();
        let mut headers = message.headers;
        headers.remove(":status");
        self.response = Some(ObservedResponse {
            status: status
                .and_then(|status| status.try_into().ok())
                .unwrap_or_default(),
            headers,
            body: message.body,
            trailers: message.trailers,
            is_local: self.upstream_request.is_none().then_some(true),
        });
    }
}

fn observed(message: &Message) -> ObservedRequest {
    let Message {
        headers,
        body,
        trailers,
        ..
    } = message.clone();
    ObservedRequest::new(headers, body, trailers)
}

/// How long a call takes, and what the service does. `None`: it does not respond.
fn action_of(call: &Call, method: &str) -> (Duration, Option<ServiceAction>) {
    let delay = call.response.delay.0;
    let is_timeout = call.response.failure == Some(FailureKind::Timeout);
    let action = (!is_timeout).then(|| action_of_reply(&call.response, method));
    (delay, action)
}

fn action_of_reply(reply: &Reply, method: &str) -> ServiceAction {
    let delay = reply.delay.0;
    match reply.failure {
        None => ServiceAction::Reply(delay, reply.reply(method)),
        Some(_) => ServiceAction::Reset(delay, reply.status.map(|_| reply.reply(method))),
    }
}

fn text(message: &Message, name: &str) -> String {
    let value = message.headers.first(name).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

fn failed(error: Error) -> Stop {
    Stop::Failed(error.to_string())
}
