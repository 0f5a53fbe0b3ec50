//! Runs a scenario in the embedded proxy.

use std::collections::{BTreeSet, VecDeque};

use proxy_wasm_test::{
    Error, GrpcCall, GrpcReply, Headers, HttpCall, Message, Metric, Options, Proxy, Stream,
};

use crate::observation::{Failure, Observation, Received, Response};
use crate::scenario::{Reaction, Reply, Request, Scenario, Step};

/// The clusters of which the embedded proxy has to be told: it has all but the first.
const MISSING_CLUSTER: &str = "missing";
const DEAD_CLUSTER: &str = "dead";

pub fn run(scenario: &Scenario) -> Observation {
    let options = Options::new()
        .vm_id(&scenario.name)
        .plugin_name(scenario.plugin_name())
        .root_id(scenario.root_id())
        .vm_configuration(scenario.vm_configuration.as_deref().unwrap_or_default())
        .allow_on_headers_stop_iteration(scenario.stops_iteration)
        .missing_cluster(MISSING_CLUSTER);
    let mut observation = Observation::default();
    let proxy = match options.load(scenario.module.as_str()) {
        Ok(proxy) => proxy,
        Err(error) => {
            observation.log = log_of(&error);
            note(&error, &mut observation);
            return observation;
        }
    };
    let configuration = scenario.configuration.as_deref().unwrap_or_default();
    if let Err(error) = proxy.reconfigure(configuration) {
        observation.log = log(&proxy);
        note(&error, &mut observation);
        return observation;
    }
    observation.has_started = true;
    let mut run = Run {
        scenario,
        proxy: &proxy,
        exchanges: Vec::new(),
        answered: BTreeSet::new(),
        calls: Vec::new(),
    };
    let result = run.all();
    run.observe(&mut observation);
    if let Err(error) = result {
        note(&error, &mut observation);
    }
    observation
}

/// What an error means for an observation.
fn note(error: &Error, observation: &mut Observation) {
    match error {
        Error::Trap(trap) => {
            // Envoy accepts such a plugin, and then does not serve.
            observation.has_started |= trap.callback == "proxy_on_context_create";
            observation.trap = Some(trap.callback.clone());
        }
        Error::Load(reason) if reason.contains("Envoy crashes") => {
            observation.failure = Some(Failure::SaysCrash);
        }
        Error::VmTerminated | Error::Load(_) | Error::Rejected { .. } => {}
        Error::BreaksEnvoy(_) => observation.failure = Some(Failure::SaysCrash),
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
    /// The HTTP and gRPC calls that the services have seen.
    answered: BTreeSet<u32>,
    calls: Vec<Received>,
}

impl Run<'_> {
    fn all(&mut self) -> Result<(), Error> {
        self.settle()?;
        for step in &self.scenario.steps {
            match step {
                Step::Request(request) => self.request(request)?,
                Step::Leave => {
                    if let Some(exchange) = self.exchanges.last_mut() {
                        exchange.leave()?;
                    }
                }
                Step::Wait { time, .. } => self.proxy.advance(*time)?,
            }
            self.settle()?;
        }
        // Clients that still wait leave, and the plugin is shut down.
        for exchange in &mut self.exchanges {
            exchange.leave()?;
        }
        self.settle()?;
        self.proxy.shut_down()?;
        self.settle()
    }

    fn request(&mut self, request: &Request) -> Result<(), Error> {
        let mut builder = self.proxy.request(&request.method, &request.path);
        // Envoy removes it before it shows a request to an extension.
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
        self.settle()?;
        for piece in &request.body {
            if let Some(stream) = self.last_stream() {
                stream.send_body(piece, false)?;
            }
            self.settle()?;
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
        self.exchanges.last()?.stream.as_ref()
    }

    /// Lets the upstream and the services react until nothing happens any more.
    fn settle(&mut self) -> Result<(), Error> {
        while self.finish()? || self.answer_calls()? || self.proceed()? {}
        Ok(())
    }

    fn finish(&mut self) -> Result<bool, Error> {
        let mut has_finished = false;
        for exchange in &mut self.exchanges {
            has_finished |= exchange.finish()?;
        }
        Ok(has_finished)
    }

    fn answer_calls(&mut self) -> Result<bool, Error> {
        let mut has_answered = false;
        for call in self.proxy.http_calls() {
            if self.answered.insert(call.id) {
                self.answer(&call)?;
                has_answered = true;
            }
        }
        for call in self.proxy.grpc_calls() {
            if self.answered.insert(call.id) {
                self.answer_grpc(&call)?;
                has_answered = true;
            }
        }
        Ok(has_answered)
    }

    fn proceed(&mut self) -> Result<bool, Error> {
        let mut has_progress = false;
        for exchange in &mut self.exchanges {
            has_progress |= exchange.proceed(&self.scenario.upstream)?;
        }
        Ok(has_progress)
    }

    fn answer(&mut self, call: &HttpCall) -> Result<(), Error> {
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
            // What Envoy's router makes of it.
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

    fn answer_grpc(&mut self, call: &GrpcCall) -> Result<(), Error> {
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
            let upstream = exchange.stream.as_ref().and_then(Stream::upstream);
            let upstream = upstream.or(exchange.upstream);
            observation.responses.push(exchange.response);
            observation.upstream.extend(upstream.map(received));
        }
        observation.calls = std::mem::take(&mut self.calls);
        for name in &self.scenario.metrics {
            if let Some(Metric::Counter(value) | Metric::Gauge(value)) = self.proxy.metric(name) {
                observation.metrics.insert(name.clone(), value);
            }
        }
    }
}

/// A request, and what has become of it.
struct Exchange {
    /// Until it has ended.
    stream: Option<Stream>,
    is_head: bool,
    has_reply: bool,
    /// What the upstream has not sent yet.
    pieces: VecDeque<Piece>,
    response: Response,
    upstream: Option<Message>,
}

/// What an upstream sends at a time.
enum Piece {
    /// Headers that more follows.
    Headers(proxy_wasm_test::Reply),
    /// Headers that nothing follows.
    Whole(proxy_wasm_test::Reply),
    Body(String),
    End,
    Trailers(Headers),
    Disconnect,
}

impl Exchange {
    fn new(stream: Stream, request: &Request) -> Self {
        Self {
            stream: Some(stream),
            is_head: request.method == "HEAD",
            has_reply: false,
            pieces: VecDeque::new(),
            response: Response::Waiting,
            upstream: None,
        }
    }

    /// Lets the upstream do one thing. Returns whether it has done any.
    fn proceed(&mut self, reaction: &Reaction) -> Result<bool, Error> {
        if self.is_upstream_ready() {
            self.has_reply = true;
            match reaction {
                Reaction::Reply(reply) => self.pieces = pieces(reply, self.is_head),
                Reaction::Reset => self.pieces.push_back(Piece::Disconnect),
                Reaction::Silence => {}
            }
        }
        let Some(piece) = self.pieces.pop_front() else {
            return Ok(false);
        };
        self.send(piece)?;
        Ok(true)
    }

    /// Whether the upstream has the whole request, and nobody has responded.
    fn is_upstream_ready(&self) -> bool {
        self.stream.as_ref().is_some_and(|stream| {
            let is_complete = stream.upstream().is_some_and(|request| request.is_complete);
            is_complete && !self.has_reply && !stream.has_local_response()
        })
    }

    /// Ends the stream if its response has ended.
    fn finish(&mut self) -> Result<bool, Error> {
        let Some(stream) = &self.stream else {
            return Ok(false);
        };
        self.upstream = stream.upstream();
        let result = stream.finish();
        self.note(result)
    }

    /// Notes what has become of the response. Returns whether the stream has ended.
    fn note(&mut self, result: Result<proxy_wasm_test::Response, Error>) -> Result<bool, Error> {
        self.response = match result {
            Ok(response) => Response::Complete(received(Message {
                headers: response.headers().clone(),
                body: response.body().to_vec(),
                trailers: response.trailers().clone(),
                is_complete: true,
            })),
            Err(Error::Closed) => Response::CutOff,
            // The extension holds it, or it has not come.
            Err(Error::Paused(_) | Error::InvalidState(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        self.stream = None;
        self.pieces.clear();
        Ok(true)
    }

    /// The upstream sends a piece of its reply.
    fn send(&mut self, piece: Piece) -> Result<(), Error> {
        let Some(stream) = &self.stream else {
            return Ok(());
        };
        match piece {
            Piece::Headers(headers) => stream.begin_response(headers),
            Piece::Whole(headers) => {
                self.upstream = stream.upstream();
                let result = stream.respond(headers);
                self.note(result).map(drop)
            }
            Piece::Body(_) | Piece::End | Piece::Trailers(_) if stream.has_local_response() => {
                Ok(())
            }
            Piece::Body(piece) => stream.send_response_body(piece, false),
            Piece::End => stream.send_response_body("", true),
            Piece::Trailers(trailers) => stream.send_response_trailers(trailers),
            Piece::Disconnect => stream.reset_upstream(),
        }
    }

    /// The client disconnects, if it still waits.
    fn leave(&mut self) -> Result<(), Error> {
        let Some(stream) = self.stream.take() else {
            return Ok(());
        };
        self.upstream = stream.upstream();
        stream.reset()
    }
}

/// A reply of the upstream, piece by piece.
fn pieces(reply: &Reply, is_head: bool) -> VecDeque<Piece> {
    let mut headers = proxy_wasm_test::Reply::new(reply.status);
    for (name, value) in reply.all_fields() {
        headers = headers.header(name, value);
    }
    if !reply.has_body() || is_head {
        return [Piece::Whole(headers)].into();
    }
    let body = reply.body.iter().cloned().map(Piece::Body);
    let end = if reply.is_cut_off {
        Piece::Disconnect
    } else if reply.trailers.is_empty() {
        // Over HTTP/1.1, the end of a body is an empty piece.
        Piece::End
    } else {
        Piece::Trailers(reply.trailers.iter().cloned().collect())
    };
    [Piece::Headers(headers)]
        .into_iter()
        .chain(body)
        .chain([end])
        .collect()
}

/// A reply to a call, whose pieces come together.
fn whole(reply: &Reply) -> proxy_wasm_test::Reply {
    let mut whole = proxy_wasm_test::Reply::new(reply.status);
    for (name, value) in reply.all_fields() {
        whole = whole.header(name, value);
    }
    // Envoy's router adds it.
    whole = whole.header("x-envoy-upstream-service-time", "0");
    if reply.has_body() {
        whole = whole.body(reply.body.concat());
    }
    for (name, value) in &reply.trailers {
        whole = whole.trailer(name, value);
    }
    whole
}

/// The messages and the status of a gRPC service's reply.
fn grpc_reply(reply: &Reply) -> GrpcReply {
    let mut grpc = GrpcReply::new();
    for (name, value) in reply
        .fields
        .iter()
        .filter(|(name, _)| name != "content-type")
    {
        grpc = grpc.metadata(name, value);
    }
    for name in ["date", "server", "x-envoy-upstream-service-time"] {
        grpc = grpc.metadata(name, "of Envoy");
    }
    for piece in &reply.body {
        grpc = grpc.message(piece.get(5..).unwrap_or_default());
    }
    let trailer = |name: &str| {
        let mut trailers = reply.trailers.iter();
        trailers
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    };
    // Without one, the status of HTTP counts; 14 stands for 503.
    let status = trailer("grpc-status").and_then(|status| status.parse().ok());
    grpc = grpc.status(
        status.unwrap_or(14),
        trailer("grpc-message").unwrap_or_default(),
    );
    let own = reply
        .trailers
        .iter()
        .filter(|(name, _)| !name.starts_with("grpc-"));
    own.fold(grpc, |grpc, (name, value)| grpc.trailer(name, value))
}

/// A message as HTTP/1.1 shows it: pseudo-headers are in its first line.
fn received(message: Message) -> Received {
    let first = |name: &str| {
        let values = message.headers.values(name);
        values.first().map(|value| value.to_string())
    };
    let start = first(":status").unwrap_or_else(|| {
        let parts = [":method", ":path", ":authority"];
        parts.map(|name| first(name).unwrap_or_default()).join(" ")
    });
    Received {
        start,
        fields: fields(&message.headers),
        body: message.body,
        trailers: fields(&message.trailers),
        is_complete: message.is_complete,
        has_rest: false,
    }
}

/// Fields that are not pseudo-headers.
fn fields(headers: &Headers) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let fields = headers.bytes().filter(|(name, _)| !name.starts_with(b":"));
    fields
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}
