//! Runs a scenario in the embedded proxy.

use std::collections::BTreeSet;

use proxy_wasm_test::{Error, Headers, HttpCall, Message, Metric, Options, Proxy, Stream};

use crate::observation::{Observation, Received, Response};
use crate::scenario::{Reaction, Reply, Request, Scenario, Step};

/// The cluster that only the embedded proxy has to be told of: Envoy knows which ones it has.
const MISSING_CLUSTER: &str = "missing";

pub fn run(scenario: &Scenario) -> Observation {
    let options = Options::new()
        .vm_id(&scenario.name)
        .root_id(&scenario.name)
        .vm_configuration(scenario.vm_configuration.as_deref().unwrap_or_default())
        .missing_cluster(MISSING_CLUSTER);
    let mut observation = Observation::default();
    let proxy = match options.load(scenario.module.as_str()) {
        Ok(proxy) => proxy,
        Err(error) => {
            observation.log = log_of(&error);
            note(error, &mut observation);
            observation.trap = None;
            return observation;
        }
    };
    let configuration = scenario.configuration.as_deref().unwrap_or_default();
    if let Err(error) = proxy.reconfigure(configuration) {
        observation.log = log(&proxy);
        note(error, &mut observation);
        observation.trap = None;
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
    let result = run
        .settle()
        .and_then(|()| run.steps())
        .and_then(|()| run.end());
    run.observe(&mut observation);
    if let Err(error) = result {
        note(error, &mut observation);
    }
    observation
}

/// What an error means for an observation.
fn note(error: Error, observation: &mut Observation) {
    match error {
        Error::Trap(trap) => observation.trap = Some(trap.callback),
        Error::VmTerminated | Error::Load(_) | Error::Rejected { .. } => {}
        error => observation.failure = Some(format!("returns an error: {error}")),
    }
}

fn log_of(error: &Error) -> Vec<String> {
    let log = match error {
        Error::Rejected { log, .. } => log.as_slice(),
        Error::Trap(trap) => trap.log.as_slice(),
        _ => &[],
    };
    log.iter().map(|line| format!("{line}")).collect()
}

fn log(proxy: &Proxy) -> Vec<String> {
    proxy.log().iter().map(|line| format!("{line}")).collect()
}

/// A request, and what has become of it.
struct Exchange {
    stream: Option<Stream>,
    request: Request,
    has_reply: bool,
    response: Response,
    upstream: Option<Message>,
}

struct Run<'a> {
    scenario: &'a Scenario,
    proxy: &'a Proxy,
    exchanges: Vec<Exchange>,
    /// The HTTP calls that the service has seen.
    answered: BTreeSet<u32>,
    calls: Vec<Received>,
}

impl Run<'_> {
    fn steps(&mut self) -> Result<(), Error> {
        for step in &self.scenario.steps {
            match step {
                Step::Request(request) => self.request(request)?,
                Step::Leave => self.leave()?,
                Step::Wait { time, .. } => self.proxy.advance(*time)?,
            }
            self.settle()?;
        }
        Ok(())
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
        self.exchanges.push(Exchange {
            stream: Some(stream),
            request: request.clone(),
            has_reply: false,
            response: Response::Waiting,
            upstream: None,
        });
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
        // Over HTTP/1.1, the end of a body is an empty piece.
        if request.trailers.is_empty() {
            stream.send_body("", true)
        } else {
            stream.send_trailers(request.trailers.iter().cloned().collect())
        }
    }

    fn last_stream(&self) -> Option<&Stream> {
        self.exchanges.last()?.stream.as_ref()
    }

    fn leave(&mut self) -> Result<(), Error> {
        let Some(exchange) = self.exchanges.last_mut() else {
            return Ok(());
        };
        exchange.end()
    }

    /// Lets the upstream and the service react until nothing happens any more.
    fn settle(&mut self) -> Result<(), Error> {
        loop {
            let mut has_progress = false;
            let calls = self.proxy.http_calls().into_iter();
            for call in calls
                .filter(|call| !self.answered.contains(&call.id))
                .collect::<Vec<_>>()
            {
                self.answer(&call)?;
                has_progress = true;
            }
            for exchange in &mut self.exchanges {
                has_progress |= exchange.proceed(&self.scenario.upstream)?;
            }
            if !has_progress {
                return Ok(());
            }
        }
    }

    fn answer(&mut self, call: &HttpCall) -> Result<(), Error> {
        self.answered.insert(call.id);
        let received = received(Message {
            headers: call.headers.clone(),
            body: call.body.clone(),
            trailers: call.trailers.clone(),
            is_complete: true,
        });
        self.calls.push(received);
        let path = call.headers.values(":path").concat();
        match self.scenario.service_reaction(&path) {
            Reaction::Reply(reply) => self.proxy.respond_to_call(call.id, whole(&reply)),
            Reaction::Reset => self.proxy.fail_call(call.id),
            Reaction::Silence => Ok(()),
        }
    }

    /// Clients that still wait leave, and the plugin is shut down.
    fn end(&mut self) -> Result<(), Error> {
        for exchange in &mut self.exchanges {
            exchange.end()?;
        }
        self.proxy.shut_down()?;
        self.settle()
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

impl Exchange {
    /// Lets the upstream respond, and the response end. Returns whether either has happened.
    fn proceed(&mut self, reaction: &Reaction) -> Result<bool, Error> {
        let Some(stream) = &self.stream else {
            return Ok(false);
        };
        let mut has_progress = false;
        let is_complete = stream.upstream().is_some_and(|request| request.is_complete);
        if is_complete && !self.has_reply && !stream.has_local_response() {
            self.has_reply = true;
            has_progress = true;
            match reaction {
                Reaction::Reply(reply) => self.reply(reply)?,
                Reaction::Reset => {
                    self.end()?;
                    return Ok(true);
                }
                Reaction::Silence => {}
            }
        }
        let Some(stream) = &self.stream else {
            return Ok(has_progress);
        };
        self.upstream = stream.upstream();
        match stream.finish() {
            Ok(response) => {
                self.complete(&response);
                Ok(true)
            }
            Err(Error::Closed) => {
                self.response = Response::CutOff;
                self.stream = None;
                Ok(true)
            }
            // The extension holds it, or it has not come.
            Err(Error::Paused(_) | Error::InvalidState(_)) => Ok(has_progress),
            Err(error) => Err(error),
        }
    }

    fn reply(&mut self, reply: &Reply) -> Result<(), Error> {
        let Some(stream) = &self.stream else {
            return Ok(());
        };
        let headers = proxy_wasm_test::Reply::new(reply.status);
        let headers = reply
            .all_fields()
            .into_iter()
            .fold(headers, |reply, (name, value)| reply.header(name, value));
        if !reply.has_body() || self.request.method == "HEAD" {
            self.upstream = stream.upstream();
            return match stream.respond(headers) {
                Ok(response) => {
                    self.complete(&response);
                    Ok(())
                }
                Err(Error::Paused(_) | Error::Closed) => Ok(()),
                Err(error) => Err(error),
            };
        }
        stream.begin_response(headers)?;
        for piece in &reply.body {
            if stream.has_local_response() {
                return Ok(());
            }
            stream.send_response_body(piece, false)?;
        }
        if reply.is_cut_off {
            return self.end();
        }
        if stream.has_local_response() {
            return Ok(());
        }
        if reply.trailers.is_empty() {
            stream.send_response_body("", true)
        } else {
            stream.send_response_trailers(reply.trailers.iter().cloned().collect::<Headers>())
        }
    }

    /// The client has received all.
    fn complete(&mut self, response: &proxy_wasm_test::Response) {
        self.response = Response::Complete(received(Message {
            headers: response.headers().clone(),
            body: response.body().to_vec(),
            trailers: response.trailers().clone(),
            is_complete: true,
        }));
        self.stream = None;
    }

    /// The client disconnects, if it still waits.
    fn end(&mut self) -> Result<(), Error> {
        let Some(stream) = self.stream.take() else {
            return Ok(());
        };
        self.upstream = stream.upstream();
        stream.reset()
    }
}

/// A reply whose pieces come together.
fn whole(reply: &Reply) -> proxy_wasm_test::Reply {
    let mut whole = proxy_wasm_test::Reply::new(reply.status);
    // Envoy's router adds it to the response to a call.
    for (name, value) in reply.all_fields() {
        whole = whole.header(name, value);
    }
    whole = whole.header("x-envoy-upstream-service-time", "0");
    if reply.has_body() {
        whole = whole.body(reply.body.concat());
    }
    for (name, value) in &reply.trailers {
        whole = whole.trailer(name, value);
    }
    whole
}

/// A message as HTTP/1.1 shows it: pseudo-headers are in its first line.
fn received(message: Message) -> Received {
    let first = |name: &str| {
        message
            .headers
            .values(name)
            .first()
            .map(|value| value.to_string())
    };
    let start = first(":status").unwrap_or_else(|| {
        let parts = [":method", ":path", ":authority"];
        parts.map(|name| first(name).unwrap_or_default()).join(" ")
    });
    let fields = |headers: &Headers| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let fields = headers.bytes().filter(|(name, _)| !name.starts_with(b":"));
        fields
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    };
    Received {
        start,
        fields: fields(&message.headers),
        body: message.body,
        trailers: fields(&message.trailers),
        is_complete: message.is_complete,
    }
}
