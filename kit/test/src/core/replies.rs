//! Responses that the extension, or Envoy itself, sends instead of the upstream.

use super::Core;
use crate::context::{Direction, DirectionState};
use crate::error::Error;
use crate::header_map::MapKind;
use crate::local_response::LocalResponse;

/// The beginning of Envoy's response if the upstream fails. The reason follows.
pub(super) const UPSTREAM_RESET: &str =
    "upstream connect error or disconnect/reset before headers. reset reason: ";

impl Core {
    /// Sends a response instead of the upstream's.
    ///
    /// If no response has begun, the local response passes through the extension. If a callback of the
    /// request runs, that happens when the callback has returned.
    ///
    /// If a response has begun and its headers are held, the local response replaces it, and does not
    /// pass through the extension. If the headers have been forwarded, the stream is closed.
    pub(super) fn send_local_response(
        &mut self,
        id: u32,
        reply: LocalResponse,
    ) -> Result<(), Error> {
        let Some(stream) = self.host_mut().streams.get_mut(&id) else {
            return Ok(());
        };
        if !stream.response.has_begun {
            if matches!(stream.callback, Some((Direction::Request, _))) {
                stream.request.is_aborted = true;
                stream.pending_reply.get_or_insert(reply);
                return Ok(());
            }
            return self.send_through_extension(id, reply);
        }
        stream.response_details = Some(reply.details.clone());
        if stream.response.forwarded_headers.is_some() {
            return self.close(id);
        }
        stream.is_local = true;
        stream.request.is_aborted = true;
        let (headers, body) = reply.write(stream.is_grpc, stream.is_head);
        stream.response = DirectionState::default();
        stream
            .response
            .begin(MapKind::Response, headers, body.is_empty());
        stream.response.received = body.len();
        self.forward_headers(id, Direction::Response, body.is_empty())?;
        if body.is_empty() {
            return Ok(());
        }
        self.forward_data(id, Direction::Response, body, true)
    }

    pub(super) fn send_through_extension(
        &mut self,
        id: u32,
        reply: LocalResponse,
    ) -> Result<(), Error> {
        let Some(stream) = self.host_mut().streams.get_mut(&id) else {
            return Ok(());
        };
        stream.is_local = true;
        stream.request.is_aborted = true;
        stream.response_details = Some(reply.details.clone());
        let (headers, body) = reply.write(stream.is_grpc, stream.is_head);
        self.receive_headers(id, Direction::Response, headers, body.is_empty())?;
        if body.is_empty() {
            return Ok(());
        }
        self.receive_data(id, Direction::Response, body, true)
    }

    /// Resets a stream, as the upstream that closes its connection does.
    pub(crate) fn reset_upstream(&mut self, id: u32) -> Result<(), Error> {
        self.vm.refuel()?;
        let stream = self.stream(id)?;
        if stream.request.forwarded_headers.is_none() {
            return Err(Error::InvalidState(
                "the request has not been forwarded, so there is no connection to the upstream",
            ));
        }
        if stream.is_local {
            return Ok(());
        }
        let reply = if stream.response.has_begun {
            let details = "upstream_reset_after_response_started{protocol_error}";
            LocalResponse::of_envoy(502, UPSTREAM_RESET.to_owned() + "protocol error", details)
        } else {
            let details = "upstream_reset_before_response_started{connection_termination}";
            LocalResponse::of_envoy(
                503,
                UPSTREAM_RESET.to_owned() + "connection termination",
                details,
            )
        };
        self.send_local_response(id, reply)?;
        self.run_pending()
    }
}
