//! The proxy at work: plugins, streams, and the order in which things happen.
//!
//! A callback never runs inside another: what a module asks for while it runs (to resume a
//! stream, to send a response, to tell a queue's plugin) is done after it has returned.

use std::collections::VecDeque;
use std::time::Duration;

use super::context::{Action, Direction, Event, Half, Host, Part, PluginContext, StreamContext};
use super::error::Error;
use super::headers::Headers;
use super::message::{Reply, Response};
use super::module::Module;
use super::options::Options;
use super::vm::Vm;
use proxy_wasm_abi::Status;

/// `WasmResult::BrokenConnection`: what Envoy's `proxy_get_status` has after a failed HTTP call.
const BROKEN_CONNECTION: (u32, &str) = (9, "reset");

/// The latest time that there is: what the ABI's 64 bits of nanoseconds count.
pub(super) const LATEST: Duration = Duration::from_nanos(u64::MAX);

/// A VM and all that runs in it.
pub(super) struct Core {
    vm: Vm,
}

impl Core {
    pub(super) fn load(module: &Module, options: Options) -> Result<Self, Error> {
        let vm = Vm::load(module, options)?;
        Ok(Self { vm })
    }

    pub(super) fn host(&self) -> &Host {
        self.vm.host()
    }

    pub(super) fn host_mut(&mut self) -> &mut Host {
        self.vm.host_mut()
    }

    pub(super) fn memory_pages(&self) -> u64 {
        self.vm.memory_pages()
    }

    /// Creates a plugin context and starts it (ABI: "Context lifecycle", `proxy_on_vm_start`).
    pub(super) fn start_plugin(&mut self) -> Result<u32, Error> {
        self.vm.refuel()?;
        let host = self.host_mut();
        let id = host.new_context();
        let plugin = PluginContext {
            root_id: host.options.root_id.clone(),
            ..PluginContext::default()
        };
        host.plugins.insert(id, plugin);
        let size = host.options.vm_configuration.len();
        self.vm.call("proxy_on_context_create", id, &[0])?;
        let started = self.vm.call("proxy_on_vm_start", id, &[length(size)])?;
        let accepted = self.accepted("proxy_on_vm_start", started);
        self.run_pending()?;
        if accepted.is_err() {
            self.shut_down(id)?;
        }
        accepted.map(|()| id)
    }

    /// Hands a configuration to a plugin (ABI: `proxy_on_configure`).
    pub(super) fn configure(&mut self, id: u32, configuration: &[u8]) -> Result<(), Error> {
        self.vm.refuel()?;
        let size = length(configuration.len());
        self.plugin(id)?.configuration = Some(configuration.to_vec());
        let result = self.vm.call("proxy_on_configure", id, &[size]);
        self.plugin(id)?.configuration = None;
        let accepted = self.accepted("proxy_on_configure", result?);
        self.run_pending()?;
        accepted
    }

    fn accepted(&mut self, callback: &'static str, result: Option<u32>) -> Result<(), Error> {
        if result == Some(0) {
            let log = std::mem::take(&mut self.host_mut().callback_log);
            return Err(Error::Rejected { callback, log });
        }
        Ok(())
    }

    /// Ends a plugin: at once, or when it calls `proxy_done` (ABI: `proxy_on_done`).
    pub(super) fn shut_down(&mut self, id: u32) -> Result<(), Error> {
        self.vm.refuel()?;
        if self.plugin(id)?.awaits_done {
            return Err(Error::InvalidState("the plugin is being shut down already"));
        }
        if self.vm.call("proxy_on_done", id, &[])? == Some(0) {
            self.plugin(id)?.awaits_done = true;
        } else {
            self.delete_plugin(id)?;
        }
        self.run_pending()
    }

    /// Deletes a plugin's context, and the HTTP calls that nobody waits for any more.
    fn delete_plugin(&mut self, id: u32) -> Result<(), Error> {
        let deleted = self.vm.call("proxy_on_delete", id, &[]);
        let host = self.host_mut();
        host.plugins.remove(&id);
        host.calls.retain(|_, call| call.plugin != id);
        deleted.map(drop)
    }

    pub(super) fn plugin(&mut self, id: u32) -> Result<&mut PluginContext, Error> {
        let plugin = self.host_mut().plugins.get_mut(&id);
        plugin.ok_or(Error::InvalidState("the plugin has been shut down"))
    }

    /// Creates a stream's context.
    pub(super) fn open(&mut self, plugin: u32) -> Result<u32, Error> {
        self.vm.refuel()?;
        self.plugin(plugin)?;
        let id = self.host_mut().new_context();
        let stream = StreamContext {
            plugin,
            ..StreamContext::default()
        };
        self.host_mut().streams.insert(id, stream);
        self.vm.call("proxy_on_context_create", id, &[plugin])?;
        self.run_pending()?;
        Ok(id)
    }

    pub(super) fn stream(&mut self, id: u32) -> Result<&mut StreamContext, Error> {
        let stream = self.host_mut().streams.get_mut(&id);
        stream.ok_or(Error::InvalidState("the stream has ended"))
    }

    /// Lets events arrive in a direction of a stream.
    pub(super) fn receive(
        &mut self,
        id: u32,
        direction: Direction,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<(), Error> {
        self.vm.refuel()?;
        self.stream(id)?.half(direction).events.extend(events);
        self.then(Action::Next(id, direction));
        self.run_pending()
    }

    fn then(&mut self, action: Action) {
        self.host_mut().actions.push_back(action);
    }

    /// Runs queued actions.
    fn run_pending(&mut self) -> Result<(), Error> {
        while let Some(action) = self.host_mut().actions.pop_front() {
            match action {
                Action::Next(id, direction) => self.next_event(id, direction)?,
                Action::Resume(id, direction) => self.resume(id, direction),
                Action::LocalResponse(id) => self.send_local_response(id),
                Action::QueueReady { plugin, queue } => {
                    // A plugin that has been shut down is not told any more.
                    if self.host().plugins.contains_key(&plugin) {
                        self.vm.call("proxy_on_queue_ready", plugin, &[queue])?;
                    }
                }
                Action::DeletePlugin(id) => self.delete_plugin(id)?,
            }
        }
        Ok(())
    }

    /// Shows the extension the next part of a message, unless it holds an earlier one.
    fn next_event(&mut self, id: u32, direction: Direction) -> Result<(), Error> {
        let Some(stream) = self.host_mut().streams.get_mut(&id) else {
            return Ok(());
        };
        if stream.closed || (stream.is_local && direction == Direction::Request) {
            return Ok(());
        }
        let half = stream.half(direction);
        // Paused headers hold all that follows. A paused body is shown again, longer each time.
        if matches!(half.paused, Some(Part::Headers | Part::Trailers)) {
            return Ok(());
        }
        let Some(event) = half.events.pop_front() else {
            return Ok(());
        };
        let (part, size, end) = match event {
            Event::Headers(headers, end) => {
                half.headers = headers;
                (Part::Headers, half.headers.len(), Some(end))
            }
            Event::Body(chunk, end) => {
                half.body.extend(chunk);
                (Part::Body, half.body.len(), Some(end))
            }
            Event::Trailers(trailers) => {
                let count = trailers.len();
                half.trailers = Some(trailers);
                (Part::Trailers, count, None)
            }
        };
        half.end_of_stream = end.unwrap_or(true);
        half.set_open(part, true);
        let mut arguments = vec![length(size)];
        arguments.extend(end.map(u32::from));
        let answer = self.vm.call(callback(direction, part), id, &arguments)?;

        let stream = self.stream(id)?;
        let stops = stream.local_response.is_some() || stream.closed;
        let half = stream.half(direction);
        if stops || !matches!(answer, None | Some(0)) {
            half.paused = Some(part);
        } else {
            pass(half, part);
        }
        self.then(Action::Next(id, direction));
        Ok(())
    }

    fn resume(&mut self, id: u32, direction: Direction) {
        let Some(stream) = self.host_mut().streams.get_mut(&id) else {
            return;
        };
        let half = stream.half(direction);
        if let Some(part) = half.paused {
            if part == Part::Headers {
                join_bodies(&mut half.events);
            }
            pass(half, part);
            self.then(Action::Next(id, direction));
        }
    }

    /// Sends the response that the extension has asked for, as Envoy does: through the extension
    /// when no response has begun; in the place of one whose headers have not been sent; else the
    /// stream is closed.
    fn send_local_response(&mut self, id: u32) {
        let Some(stream) = self.host_mut().streams.get_mut(&id) else {
            return;
        };
        let Some(reply) = stream.local_response.take() else {
            return;
        };
        stream.is_local = true;
        stream.request.events.clear();
        stream.request.paused = None;
        stream.request.open = [false; 3];
        let response = &mut stream.response;
        let has_begun = !response.headers.is_empty() || !response.events.is_empty();
        if !has_begun {
            response.events.extend(events(reply));
            self.then(Action::Next(id, Direction::Response));
        } else if response.passed_headers.is_none() {
            *response = Half {
                headers: reply.headers.clone(),
                passed_headers: Some(reply.headers),
                passed_body: reply.chunks.concat(),
                passed_all: true,
                ..Half::default()
            };
        } else {
            stream.closed = true;
        }
    }

    /// Answers an HTTP call, or lets it fail (ABI: `proxy_on_http_call_response`).
    pub(super) fn respond_to_call(&mut self, call: u32, reply: Option<Reply>) -> Result<(), Error> {
        self.vm.refuel()?;
        let Some(call) = self.host_mut().calls.remove(&call) else {
            return Err(Error::InvalidState("no HTTP call of this number waits"));
        };
        let plugin = self.plugin(call.plugin)?;
        if reply.is_none() {
            plugin.status = BROKEN_CONNECTION;
        }
        let reply = reply.map(|reply| Reply {
            chunks: vec![reply.chunks.concat()],
            ..reply
        });
        let sizes = reply.as_ref().map_or([0; 3], |reply| {
            let body = reply.chunks.first().map_or(0, Vec::len);
            let trailers = reply.trailers.as_ref().map_or(0, Headers::len);
            [reply.headers.len(), body, trailers].map(length)
        });
        plugin.call_response = reply;
        let [headers, body, trailers] = sizes;
        let arguments = [call.id, headers, body, trailers];
        let result = self
            .vm
            .call("proxy_on_http_call_response", call.plugin, &arguments);
        if let Ok(plugin) = self.plugin(call.plugin) {
            plugin.call_response = None;
            plugin.status = (0, "");
        }
        result?;
        self.run_pending()
    }

    /// Calls a plugin's timer (ABI: `proxy_on_tick`).
    pub(super) fn tick(&mut self, plugin: u32) -> Result<(), Error> {
        self.vm.refuel()?;
        self.plugin(plugin)?;
        self.vm.call("proxy_on_tick", plugin, &[])?;
        self.run_pending()
    }

    /// Lets time pass: timers run and HTTP calls time out, each at its time.
    pub(super) fn advance(&mut self, duration: Duration) -> Result<(), Error> {
        let end = self.host().time.saturating_add(duration).min(LATEST);
        loop {
            let host = self.host();
            let ticks = host
                .plugins
                .iter()
                .filter(|(_, plugin)| !plugin.tick_period.is_zero())
                .map(|(id, plugin)| (plugin.next_tick, true, *id));
            let timeouts = host
                .calls
                .values()
                .filter_map(|call| Some((call.deadline?, false, call.id)));
            let due = ticks
                .chain(timeouts)
                .min()
                .filter(|(time, ..)| *time <= end);
            let Some((time, is_tick, id)) = due else {
                self.host_mut().time = end;
                return Ok(());
            };
            self.host_mut().time = time;
            if is_tick {
                let plugin = self.plugin(id)?;
                plugin.next_tick = time + plugin.tick_period;
                self.tick(id)?;
            } else {
                self.respond_to_call(id, None)?;
            }
        }
    }

    /// Puts an item into a queue that a plugin has registered.
    pub(super) fn enqueue(&mut self, name: &[u8], item: Vec<u8>) -> Result<(), Error> {
        self.vm.refuel()?;
        match self.host_mut().enqueue_by_name(name, item) {
            Ok(()) => self.run_pending(),
            Err(Status::NotFound) => Err(Error::InvalidState(
                "the extension has registered no queue of this name",
            )),
            Err(_) => Err(Error::InvalidState("the queue takes no item")),
        }
    }

    /// Ends a stream whose response is complete.
    pub(super) fn finish(&mut self, id: u32) -> Result<Response, Error> {
        let stream = self.stream(id)?;
        if stream.closed {
            self.destroy(id)?;
            return Err(Error::Closed);
        }
        if stream.response.paused.is_some() {
            return Err(Error::Paused("response"));
        }
        if !stream.response.passed_all {
            return Err(Error::InvalidState("the response has not ended"));
        }
        let stream = self.destroy(id)?;
        Ok(Response {
            headers: stream.response.passed_headers.unwrap_or_default(),
            body: stream.response.passed_body,
            trailers: stream.response.passed_trailers.unwrap_or_default(),
            is_local: stream.is_local,
            fuel: stream.fuel,
            host_calls: stream.host_calls,
        })
    }

    /// Ends a stream, complete or not (ABI: "Context lifecycle"; the order is Envoy's).
    pub(super) fn destroy(&mut self, id: u32) -> Result<StreamContext, Error> {
        self.vm.refuel()?;
        self.stream(id)?.logging = true;
        let result = self.end_callbacks(id);
        let stream = self.host_mut().streams.remove(&id);
        result?;
        self.run_pending()?;
        stream.ok_or(Error::InvalidState("the stream has ended"))
    }

    fn end_callbacks(&mut self, id: u32) -> Result<(), Error> {
        self.vm.call("proxy_on_log", id, &[])?;
        self.stream(id)?.logging = false;
        self.vm.call("proxy_on_done", id, &[])?;
        self.vm.call("proxy_on_delete", id, &[])?;
        Ok(())
    }
}

fn callback(direction: Direction, part: Part) -> &'static str {
    match (direction, part) {
        (Direction::Request, Part::Headers) => "proxy_on_request_headers",
        (Direction::Request, Part::Body) => "proxy_on_request_body",
        (Direction::Request, Part::Trailers) => "proxy_on_request_trailers",
        (Direction::Response, Part::Headers) => "proxy_on_response_headers",
        (Direction::Response, Part::Body) => "proxy_on_response_body",
        (Direction::Response, Part::Trailers) => "proxy_on_response_trailers",
    }
}

/// Lets a part of a message, and what was held before it, go on.
fn pass(half: &mut Half, part: Part) {
    half.paused = None;
    half.open = [false; 3];
    if part == Part::Headers {
        half.passed_headers = Some(half.headers.clone());
    } else {
        half.passed_body.append(&mut half.body);
    }
    if half.end_of_stream {
        half.passed_trailers = half.trailers.take();
        half.passed_all = true;
    }
}

/// Makes one piece of the pieces of a body, as Envoy does with what held headers have held up.
fn join_bodies(events: &mut VecDeque<Event>) {
    for event in std::mem::take(events) {
        if let Event::Body(chunk, end) = &event
            && let Some(Event::Body(body, has_ended)) = events.back_mut()
        {
            body.extend(chunk);
            *has_ended |= end;
        } else {
            events.push_back(event);
        }
    }
}

/// The events by which a reply arrives.
pub(super) fn events(reply: Reply) -> Vec<Event> {
    split(reply.headers, reply.chunks, reply.trailers)
}

/// The events by which a message arrives.
pub(super) fn split(
    headers: Headers,
    chunks: Vec<Vec<u8>>,
    trailers: Option<Headers>,
) -> Vec<Event> {
    let mut events = Vec::new();
    let mut parts = chunks.into_iter().peekable();
    let ends_here = |more: bool| !more && trailers.is_none();
    events.push(Event::Headers(headers, ends_here(parts.peek().is_some())));
    while let Some(chunk) = parts.next() {
        events.push(Event::Body(chunk, ends_here(parts.peek().is_some())));
    }
    events.extend(trailers.map(Event::Trailers));
    events
}

/// A size as the ABI hands it over.
fn length(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
