//! Actions of an extension after which Envoy crashes, corrupts a message, or holds one forever.

use super::Core;
use crate::context::{Direction, Part};
use crate::error::Error;

pub(super) const HEADERS_TWICE: &str = "\
     the extension calls proxy_continue_stream in a headers callback, or in \
     proxy_on_context_create, and the headers callback then continues: Envoy sends the \
     headers twice. Call it only from another callback, while the headers are held";
pub(super) const END_TWICE: &str = "\
     the extension calls proxy_continue_stream for a message that has ended, or in a callback \
     that then ends it, or it adds trailers to a request whose body it holds: Envoy sends the \
     end twice. Return Continue without the call, and add trailers only to a body that is not \
     held";
pub(super) const LOST_BODY: &str = "\
     the extension holds the body of a message whose trailers have been forwarded: Envoy \
     loses the body. If a message has trailers, hold it in the trailers callback, not in the \
     body callback";
pub(super) const NO_RESPONSE: &str = "\
     the extension calls proxy_continue_stream for a response that has not begun: Envoy \
     crashes. Call it only while the response is held";
pub(super) const ENDLESS_CALLS: &str = "\
     the extension calls proxy_continue_stream in a callback of a message that is being \
     resumed: Envoy calls the callback again and again, until the stack overflows. Return \
     Continue without the call";
pub(super) const HELD_FOREVER: &str = "\
     the extension calls proxy_continue_stream in a callback that then pauses: Envoy holds \
     the rest of the message forever. Return Continue without the call, or make the call \
     later, from another callback";
const CRASHES_AT_END: &str = "\
     the extension calls proxy_continue_stream in the callback that ends the response, and \
     the callback then continues: Envoy crashes. Return Continue without the call";
const ENDED: &str = "\
     the extension closes a stream that has ended, or responds to it: Envoy crashes, or calls \
     callbacks for a context that it has deleted. Call proxy_close_stream or \
     proxy_send_local_response once, and not in proxy_on_log, proxy_on_done or \
     proxy_on_delete";
const NOT_CREATED: &str = "\
     the extension closes the stream in proxy_on_context_create: Envoy creates the context \
     twice, and calls callbacks after it has deleted it. Close it in a later callback";
const CLOSED_IN_TRAILERS: &str = "\
     the extension closes the stream in proxy_on_response_trailers: Envoy crashes. Close it \
     in an earlier callback";
const RESPONSE_IN_TRAILERS: &str = "\
     the extension sends a response in proxy_on_response_trailers: Envoy never ends the \
     response that it has begun. Respond in an earlier callback";

/// The error for a header that is not valid.
pub(super) fn invalid_field(name: &str) -> String {
    format!(
        "the header or trailer {name:?} is invalid: Envoy sends it unchanged, so that a value with a line \
         break can add headers, or a response. Remove control characters from \
         values, and use only the characters of HTTP tokens in names"
    )
}

/// The error for a status that no response can have.
pub(super) fn invalid_status(status: u64) -> String {
    let effect = if (100..200).contains(&status) {
        "clients wait for another response"
    } else {
        "clients reject the response"
    };
    format!(
        "the response has status {status}: Envoy sends it, and {effect}. Use a status from 200 to \
         599"
    )
}

/// The error for the body of a response that can have none.
pub(super) fn body_of_status(status: u64) -> String {
    format!(
        "the response has status {status} and a body: Envoy sends both, and clients take the body \
         for the beginning of the next response. Remove the body, or use another status"
    )
}

/// The error for a body whose length is not the declared one.
pub(super) fn wrong_length(direction: Direction, declared: &[u8], length: usize) -> String {
    let declared = String::from_utf8_lossy(declared);
    let (message, callback) = match direction {
        Direction::Request => ("request", "proxy_on_request_headers"),
        Direction::Response => ("response", "proxy_on_response_headers"),
    };
    format!(
        "the body of the {message} has the length {length}, and its content-length is {declared}: \
         Envoy sends both, so that the receiver cuts the body off, or waits for the rest. \
         Remove content-length in {callback}"
    )
}

impl Core {
    /// The error for an action that breaks Envoy. Removes the stream.
    pub(super) fn breaks_envoy_error(&mut self, id: u32, problem: &str) -> Error {
        self.breaks_envoy_error_with(id, problem.to_owned())
    }

    pub(super) fn breaks_envoy_error_with(&mut self, id: u32, problem: String) -> Error {
        let host = self.host_mut();
        host.streams.remove(&id);
        host.ended_streams.remove(&id);
        host.actions.clear();
        Error::BreaksEnvoy(problem)
    }

    /// Checks a stream that has ended during a callback. `continues` is what the callback returned.
    pub(super) fn check_ended_in(
        &mut self,
        id: u32,
        direction: Direction,
        continues: bool,
    ) -> Result<(), Error> {
        let ended = &self.host().ended_streams;
        let has_resumed_itself = ended
            .get(&id)
            .is_some_and(|stream| stream.response.resumed_itself);
        if direction == Direction::Response && continues && has_resumed_itself {
            return Err(self.breaks_envoy_error(id, CRASHES_AT_END));
        }
        Ok(())
    }

    /// Checks that the extension can send a response.
    pub(super) fn check_can_respond(&mut self, id: u32) -> Result<(), Error> {
        self.check_is_open(id)?;
        if self.is_in_response_trailers(id) {
            return Err(self.breaks_envoy_error(id, RESPONSE_IN_TRAILERS));
        }
        Ok(())
    }

    /// Checks that the extension can close a stream.
    pub(super) fn check_can_close(&mut self, id: u32) -> Result<(), Error> {
        self.check_is_open(id)?;
        let stream = self.stream(id)?;
        let problem = if stream.pending_reply.is_some() {
            ENDED
        } else if !stream.is_created {
            NOT_CREATED
        } else if self.is_in_response_trailers(id) {
            CLOSED_IN_TRAILERS
        } else {
            return Ok(());
        };
        Err(self.breaks_envoy_error(id, problem))
    }

    fn check_is_open(&mut self, id: u32) -> Result<(), Error> {
        let stream = self.host().streams.get(&id);
        if stream.is_some_and(|stream| !stream.has_ended) {
            return Ok(());
        }
        Err(self.breaks_envoy_error(id, ENDED))
    }

    fn is_in_response_trailers(&self, id: u32) -> bool {
        let stream = self.host().streams.get(&id);
        stream.is_some_and(|stream| stream.callback == Some((Direction::Response, Part::Trailers)))
    }
}
