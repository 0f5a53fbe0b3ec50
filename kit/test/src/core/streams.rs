//! Streams: their beginning, what arrives, and their end.

use super::Core;
use super::breaks::HELD_FOREVER;
use crate::context::{
    Direction, DirectionState, Iteration, MessagePart, Part, Properties, StreamContext,
};
use crate::error::Error;
use crate::header_map::MapKind;
use crate::headers::Headers;
use crate::local_response;
use crate::message::Response;

impl Core {
    /// Creates a stream.
    pub(crate) fn open(&mut self, plugin: u32, properties: Properties) -> Result<u32, Error> {
        self.plugin(plugin)?;
        let host = self.host_mut();
        let id = host.new_context();
        let stream = StreamContext {
            plugin,
            started: host.time,
            properties,
            ..StreamContext::default()
        };
        host.streams.insert(id, stream);
        Ok(id)
    }

    /// A stream that has not ended.
    pub(crate) fn stream(&mut self, id: u32) -> Result<&mut StreamContext, Error> {
        let stream = self.host_mut().streams.get_mut(&id);
        stream.ok_or(Error::InvalidState("the stream has ended"))
    }

    pub(super) fn state(&mut self, id: u32, direction: Direction) -> Option<&mut DirectionState> {
        let stream = self.host_mut().streams.get_mut(&id)?;
        Some(stream.state(direction))
    }

    /// Receives events of one direction of a stream. If the response has ended, the rest of the
    /// request is ignored.
    pub(crate) fn receive(
        &mut self,
        id: u32,
        direction: Direction,
        events: impl IntoIterator<Item = MessagePart>,
    ) -> Result<(), Error> {
        self.vm.refuel()?;
        for event in events {
            if self.host().ended_streams.contains_key(&id) {
                break;
            }
            let stream = self.stream(id)?;
            let is_ignored = match direction {
                Direction::Request => stream.request.is_aborted,
                Direction::Response => stream.is_local,
            };
            if !is_ignored {
                self.receive_part(id, direction, event)?;
            }
        }
        self.run_pending()
    }

    fn receive_part(
        &mut self,
        id: u32,
        direction: Direction,
        part: MessagePart,
    ) -> Result<(), Error> {
        match part {
            MessagePart::Headers(headers, end) => {
                if direction == Direction::Request {
                    self.receive_request_headers(id, headers, end)
                } else {
                    self.receive_headers(id, direction, headers, end)
                }
            }
            MessagePart::Body(data, end) => self.receive_data(id, direction, data, end),
            MessagePart::Trailers(trailers) => self.receive_trailers(id, direction, trailers),
        }
    }

    fn receive_request_headers(
        &mut self,
        id: u32,
        headers: Headers,
        end: bool,
    ) -> Result<(), Error> {
        let Ok(stream) = self.stream(id) else {
            return Ok(());
        };
        let plugin = stream.plugin;
        stream.is_grpc = local_response::is_grpc(&headers);
        stream.is_head = headers.first(":method") == Some(b"HEAD");
        // The request has arrived when the context is created.
        stream.request.begin(MapKind::Request, headers, end);
        stream.callback = Some((Direction::Request, Part::Headers));
        self.call("proxy_on_context_create", id, &[plugin])?;
        if let Ok(stream) = self.stream(id) {
            stream.callback = None;
            stream.is_created = true;
        }
        self.filter_headers(id, Direction::Request, end)
    }

    pub(super) fn receive_headers(
        &mut self,
        id: u32,
        direction: Direction,
        headers: Headers,
        end: bool,
    ) -> Result<(), Error> {
        let Ok(stream) = self.stream(id) else {
            return Ok(());
        };
        stream.response_code = headers.status();
        stream
            .state(direction)
            .begin(MapKind::Response, headers, end);
        self.filter_headers(id, direction, end)
    }

    pub(super) fn receive_data(
        &mut self,
        id: u32,
        direction: Direction,
        data: Vec<u8>,
        end: bool,
    ) -> Result<(), Error> {
        let Some(state) = self.state(id, direction) else {
            return Ok(());
        };
        state.received += data.len();
        state.end_of_stream |= end;
        if state.iteration == Iteration::StoppedAll {
            state.hold(data);
            return Ok(());
        }
        state.data.extend(data);
        self.filter_data(id, direction, false, end)
    }

    fn receive_trailers(
        &mut self,
        id: u32,
        direction: Direction,
        trailers: Headers,
    ) -> Result<(), Error> {
        let Some(state) = self.state(id, direction) else {
            return Ok(());
        };
        let kind = match direction {
            Direction::Request => MapKind::RequestTrailers,
            Direction::Response => MapKind::ResponseTrailers,
        };
        state.trailers = Some(kind.receive(trailers));
        state.end_of_stream = true;
        if state.iteration == Iteration::StoppedAll {
            return Ok(());
        }
        self.filter_trailers(id, direction)
    }

    /// Closes a stream whose response is not complete.
    pub(super) fn close(&mut self, id: u32) -> Result<(), Error> {
        let Ok(stream) = self.stream(id) else {
            return Ok(());
        };
        stream.is_closed = true;
        self.end(id)
    }

    /// Ends a stream (ABI: "Context lifecycle"; the order is Envoy's).
    pub(super) fn end(&mut self, id: u32) -> Result<(), Error> {
        let now = self.host().time;
        let Ok(stream) = self.stream(id) else {
            return Ok(());
        };
        if std::mem::replace(&mut stream.has_ended, true) {
            return Ok(());
        }
        stream.ended = Some(now);
        stream.is_logging = true;
        self.call("proxy_on_log", id, &[])?;
        if let Ok(stream) = self.stream(id) {
            stream.is_logging = false;
        }
        self.call("proxy_on_done", id, &[])?;
        self.call("proxy_on_delete", id, &[])?;
        let host = self.host_mut();
        if let Some(stream) = host.streams.remove(&id) {
            host.ended_streams.insert(id, stream);
        }
        Ok(())
    }

    /// The response of a stream that has ended. The stream does not exist any more.
    pub(crate) fn finish(&mut self, id: u32) -> Result<Response, Error> {
        let Some(stream) = self.host_mut().ended_streams.remove(&id) else {
            let stream = self.stream(id)?;
            if stream.response.is_held_forever() {
                return Err(self.breaks_envoy_error(id, HELD_FOREVER));
            }
            if stream.response.is_paused() {
                return Err(Error::Paused("response"));
            }
            return Err(Error::InvalidState("the response has not ended"));
        };
        if stream.is_closed {
            return Err(Error::StreamReset);
        }
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

    /// Checks that an upstream can respond to a request.
    pub(crate) fn check_is_forwarded(&mut self, id: u32) -> Result<(), Error> {
        let Ok(stream) = self.stream(id) else {
            return Ok(());
        };
        if stream.is_local {
            return Ok(());
        }
        if stream.request.is_held_forever() {
            return Err(self.breaks_envoy_error(id, HELD_FOREVER));
        }
        if stream.request.forwarded_headers.is_none() {
            return Err(Error::Paused("request"));
        }
        Ok(())
    }

    /// Ends a stream, complete or not, as a client that closes its connection does.
    pub(crate) fn reset(&mut self, id: u32) -> Result<(), Error> {
        if self.host_mut().ended_streams.remove(&id).is_some() {
            return Ok(());
        }
        self.vm.refuel()?;
        self.stream(id)?;
        self.end(id)?;
        self.host_mut().ended_streams.remove(&id);
        self.run_pending()
    }
}
