//! Plugins and streams: which callbacks are called, and in which order.
//!
//! A callback never runs inside another. What a module asks for while it runs (to resume a stream,
//! to send a response, to notify the plugin of a queue) is done after the callback has returned.

use std::time::Duration;

use proxy_wasm_abi::Status;

use crate::context::{
    Direction, DirectionState, Event, Part, PluginContext, Properties, StreamContext,
};
use crate::error::Error;
use crate::host::{Action, Host};
use crate::message::Response;
use crate::module::Module;
use crate::options::{MAX_TIME, Options};
use crate::vm::Vm;

mod calls;

/// A VM and all that runs in it.
pub(crate) struct Core {
    vm: Vm,
}

/// What happens as time passes. Of those at one time, a timer is last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    HttpCall(u32),
    GrpcCall(u32),
    Tick(u32),
}

impl Core {
    pub(crate) fn load(module: &Module, options: Options) -> Result<Self, Error> {
        let vm = Vm::load(module, options)?;
        Ok(Self { vm })
    }

    pub(crate) fn host(&self) -> &Host {
        self.vm.host()
    }

    pub(crate) fn host_mut(&mut self) -> &mut Host {
        self.vm.host_mut()
    }

    pub(crate) fn memory_pages(&self) -> u64 {
        self.vm.memory_pages()
    }

    /// Creates a plugin context and starts it (ABI: "Context lifecycle", `proxy_on_vm_start`).
    pub(crate) fn start_plugin(&mut self) -> Result<u32, Error> {
        self.vm.refuel()?;
        let host = self.host_mut();
        let id = host.new_context();
        host.plugins.insert(id, PluginContext::default());
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

    /// Configures a plugin (ABI: `proxy_on_configure`).
    pub(crate) fn configure(&mut self, id: u32, configuration: &[u8]) -> Result<(), Error> {
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

    /// Shuts a plugin down: now, or when it calls `proxy_done` (ABI: `proxy_on_done`).
    pub(crate) fn shut_down(&mut self, id: u32) -> Result<(), Error> {
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

    /// Deletes a plugin's context and its HTTP calls.
    fn delete_plugin(&mut self, id: u32) -> Result<(), Error> {
        let deleted = self.vm.call("proxy_on_delete", id, &[]);
        let host = self.host_mut();
        host.plugins.remove(&id);
        host.calls.retain(|_, call| call.plugin != id);
        host.grpc_calls.retain(|_, call| call.plugin != id);
        deleted.map(drop)
    }

    pub(crate) fn plugin(&mut self, id: u32) -> Result<&mut PluginContext, Error> {
        let plugin = self.host_mut().plugins.get_mut(&id);
        plugin.ok_or(Error::InvalidState("the plugin has been shut down"))
    }

    /// Creates a stream's context.
    pub(crate) fn open(&mut self, plugin: u32, properties: Properties) -> Result<u32, Error> {
        self.vm.refuel()?;
        self.plugin(plugin)?;
        let id = self.host_mut().new_context();
        let stream = StreamContext {
            plugin,
            started: self.host().time,
            properties,
            ..StreamContext::default()
        };
        self.host_mut().streams.insert(id, stream);
        self.vm.call("proxy_on_context_create", id, &[plugin])?;
        self.run_pending()?;
        Ok(id)
    }

    pub(crate) fn stream(&mut self, id: u32) -> Result<&mut StreamContext, Error> {
        let stream = self.host_mut().streams.get_mut(&id);
        stream.ok_or(Error::InvalidState("the stream has ended"))
    }

    /// Receives events of one direction of a stream.
    pub(crate) fn receive(
        &mut self,
        id: u32,
        direction: Direction,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<(), Error> {
        self.vm.refuel()?;
        self.stream(id)?.state(direction).events.extend(events);
        self.queue(Action::Next(id, direction));
        self.run_pending()
    }

    fn queue(&mut self, action: Action) {
        self.host_mut().actions.push_back(action);
    }

    /// Runs queued actions.
    fn run_pending(&mut self) -> Result<(), Error> {
        while let Some(action) = self.host_mut().next_action() {
            match action {
                Action::Next(id, direction) => self.next_event(id, direction)?,
                Action::Resume(id, direction) => self.resume(id, direction),
                Action::LocalResponse(id) => self.send_local_response(id),
                Action::QueueReady { plugin, queue } => {
                    // The plugin may have been shut down.
                    if self.host().plugins.contains_key(&plugin) {
                        self.vm.call("proxy_on_queue_ready", plugin, &[queue])?;
                    }
                }
                Action::DeletePlugin(id) => self.delete_plugin(id)?,
                Action::GrpcUnavailable { plugin, call } => self.grpc_unavailable(plugin, call)?,
            }
        }
        Ok(())
    }

    /// Calls the callback of the next part of a message, unless the extension holds an earlier part.
    fn next_event(&mut self, id: u32, direction: Direction) -> Result<(), Error> {
        let Some(stream) = self.host_mut().streams.get_mut(&id) else {
            return Ok(());
        };
        if stream.is_closed || (stream.is_local && direction == Direction::Request) {
            return Ok(());
        }
        let state = stream.state(direction);
        // Headers and trailers hold all that follows. A body that is held is shown again when it has
        // grown.
        if matches!(state.paused, Some(Part::Headers | Part::Trailers)) {
            return Ok(());
        }
        let Some(event) = state.events.pop_front() else {
            return Ok(());
        };
        let (part, size, end) = match event {
            Event::Headers(headers, end) => {
                state.headers = headers;
                (Part::Headers, state.headers.len(), Some(end))
            }
            Event::Body(chunk, end) => {
                state.shown += u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                state.body.extend(chunk);
                (Part::Body, state.body.len(), Some(end))
            }
            Event::Trailers(trailers) => {
                let count = trailers.len();
                state.trailers = Some(trailers);
                (Part::Trailers, count, None)
            }
        };
        state.end_of_stream = end.unwrap_or(true);
        state.open(part);
        if (direction, part) == (Direction::Response, Part::Headers) {
            stream.response_code = stream.response.headers.status();
        }
        let mut arguments = vec![length(size)];
        arguments.extend(end.map(u32::from));
        let result = self.vm.call(callback(direction, part), id, &arguments)?;

        let stream = self.stream(id)?;
        let stops = stream.local_response.is_some() || stream.is_closed;
        let state = stream.state(direction);
        if stops || !matches!(result, None | Some(0)) {
            state.paused = Some(part);
        } else {
            state.forward(part);
        }
        self.queue(Action::Next(id, direction));
        Ok(())
    }

    fn resume(&mut self, id: u32, direction: Direction) {
        let Some(stream) = self.host_mut().streams.get_mut(&id) else {
            return;
        };
        let state = stream.state(direction);
        if let Some(part) = state.paused {
            if part == Part::Headers {
                state.join_bodies();
            }
            state.forward(part);
            self.queue(Action::Next(id, direction));
        }
    }

    /// Sends the response that the extension has asked for, as Envoy does. If no response has begun,
    /// it passes through the extension. If one has begun and its headers are held, it replaces that
    /// one. Otherwise the stream is closed.
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
        stream.request.close();
        let response = &mut stream.response;
        let has_begun = !response.headers.is_empty() || !response.events.is_empty();
        if !has_begun {
            response.events.extend(Event::of_reply(reply));
            self.queue(Action::Next(id, Direction::Response));
        } else if response.forwarded_headers.is_none() {
            *response = DirectionState::of_forwarded(reply);
        } else {
            stream.is_closed = true;
        }
    }

    /// Calls a plugin's timer (ABI: `proxy_on_tick`).
    pub(crate) fn tick(&mut self, plugin: u32) -> Result<(), Error> {
        self.vm.refuel()?;
        self.plugin(plugin)?;
        self.vm.call("proxy_on_tick", plugin, &[])?;
        self.run_pending()
    }

    /// Lets time pass. Timers run, and HTTP and gRPC calls time out, each at its time.
    pub(crate) fn advance(&mut self, duration: Duration) -> Result<(), Error> {
        let end = self.host().time.saturating_add(duration).min(MAX_TIME);
        while let Some((time, due)) = self.next_due().filter(|(time, _)| *time <= end) {
            self.host_mut().time = time;
            match due {
                Due::HttpCall(id) => self.time_out_call(id)?,
                Due::GrpcCall(id) => {
                    self.vm.refuel()?;
                    self.time_out_grpc_call(id)?;
                }
                Due::Tick(id) => {
                    let plugin = self.plugin(id)?;
                    plugin.next_tick = time + plugin.tick_period;
                    self.tick(id)?;
                }
            }
        }
        self.host_mut().time = end;
        Ok(())
    }

    /// What happens next as time passes, and when.
    fn next_due(&self) -> Option<(Duration, Due)> {
        let host = self.host();
        let calls = host.calls.values();
        let calls = calls.filter_map(|call| Some((call.deadline?, Due::HttpCall(call.id))));
        let grpc_calls = host.grpc_calls.values();
        let grpc_calls =
            grpc_calls.filter_map(|call| Some((call.deadline?, Due::GrpcCall(call.id))));
        let plugins = host.plugins.iter();
        let ticks = plugins
            .filter(|(_, plugin)| !plugin.tick_period.is_zero())
            .map(|(id, plugin)| (plugin.next_tick, Due::Tick(*id)));
        calls.chain(grpc_calls).chain(ticks).min()
    }

    /// Puts an item into a queue that a plugin has registered.
    pub(crate) fn enqueue(&mut self, name: &[u8], item: Vec<u8>) -> Result<(), Error> {
        self.vm.refuel()?;
        match self.host_mut().enqueue_by_name(name, item) {
            Ok(()) => self.run_pending(),
            Err(Status::NotFound) => Err(Error::InvalidState(
                "the extension has registered no queue of this name",
            )),
            Err(_) => Err(Error::InvalidState("the queue does not accept the item")),
        }
    }

    /// Ends a stream whose response is complete.
    pub(crate) fn finish(&mut self, id: u32) -> Result<Response, Error> {
        let stream = self.stream(id)?;
        if stream.is_closed {
            self.destroy(id)?;
            return Err(Error::Closed);
        }
        if stream.response.paused.is_some() {
            return Err(Error::Paused("response"));
        }
        if !stream.response.forwarded_all {
            return Err(Error::InvalidState("the response has not ended"));
        }
        let stream = self.destroy(id)?;
        Ok(Response {
            headers: stream.response.forwarded_headers.unwrap_or_default(),
            body: stream.response.forwarded_body,
            trailers: stream.response.forwarded_trailers.unwrap_or_default(),
            is_local: stream.is_local,
            filter_state: stream.filter_state,
            fuel: stream.fuel,
            host_calls: stream.host_calls,
        })
    }

    /// Ends a stream, complete or not (ABI: "Context lifecycle"; the order is Envoy's).
    pub(crate) fn destroy(&mut self, id: u32) -> Result<StreamContext, Error> {
        self.vm.refuel()?;
        let now = self.host().time;
        let stream = self.stream(id)?;
        stream.ended = Some(now);
        stream.is_logging = true;
        let result = self.end_callbacks(id);
        let stream = self.host_mut().streams.remove(&id);
        result?;
        self.run_pending()?;
        stream.ok_or(Error::InvalidState("the stream has ended"))
    }

    fn end_callbacks(&mut self, id: u32) -> Result<(), Error> {
        self.vm.call("proxy_on_log", id, &[])?;
        self.stream(id)?.is_logging = false;
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

/// A size as an argument of a callback.
fn length(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
