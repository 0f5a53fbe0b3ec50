//! What leaves the extension: requests to the upstream, and responses to the client.

use super::Core;
use super::breaks::{self, END_TWICE, HEADERS_TWICE, LOST_BODY};
use crate::context::{Direction, StreamContext};
use crate::error::Error;
use crate::header_map::{is_pseudo, set_in_place};
use crate::headers::Headers;
use crate::local_response::LocalResponse;

/// The headers of a response that Envoy does not pass on, because they are about its connection to
/// the upstream.
const HOP_BY_HOP: [&str; 4] = [
    "connection",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];
/// The pseudo-headers of each direction. Envoy does not write others.
const REQUEST_PSEUDO_HEADERS: &[&str] = &[":authority", ":method", ":path", ":scheme"];
const RESPONSE_PSEUDO_HEADERS: &[&str] = &[":status"];

impl Core {
    /// Forwards the headers of a message. Envoy responds itself if they are incomplete, or if those
    /// of a request are invalid.
    pub(super) fn forward_headers(
        &mut self,
        id: u32,
        direction: Direction,
        end: bool,
    ) -> Result<(), Error> {
        let Ok(stream) = self.stream(id) else {
            return Ok(());
        };
        let state = stream.state(direction);
        if state.is_aborted {
            return Ok(());
        }
        if state.forwarded_headers.is_some() {
            return Err(self.breaks_envoy_error(id, HEADERS_TWICE));
        }
        let reply = match direction {
            Direction::Request => check_request(&state.headers, state.has_forwarded_proto),
            Direction::Response => check_response(&state.headers),
        };
        if let Some(reply) = reply {
            return self.send_local_response(id, reply);
        }
        let mut problem = check_fields(&state.headers);
        if direction == Direction::Response && stream.has_own_status() {
            problem = problem.or_else(|| check_status(&stream.response.headers));
        }
        if let Some(problem) = problem {
            return Err(self.breaks_envoy_error_with(id, problem));
        }
        let state = stream.state(direction);
        state.forwarded_headers = Some(write(&mut state.headers, direction));
        if end {
            return self.complete(id, direction);
        }
        Ok(())
    }

    pub(super) fn forward_data(
        &mut self,
        id: u32,
        direction: Direction,
        data: Vec<u8>,
        end: bool,
    ) -> Result<(), Error> {
        let Some(state) = self.state(id, direction).filter(|state| !state.is_aborted) else {
            return Ok(());
        };
        if state.forwarded_all {
            // Envoy ignores a second end if it is an empty chunk.
            return if data.is_empty() {
                Ok(())
            } else {
                Err(self.breaks_envoy_error(id, END_TWICE))
            };
        }
        state.forwarded_body.extend(data);
        if end {
            return self.complete(id, direction);
        }
        Ok(())
    }

    pub(super) fn forward_trailers(&mut self, id: u32, direction: Direction) -> Result<(), Error> {
        let Ok(stream) = self.stream(id) else {
            return Ok(());
        };
        let state = stream.state(direction);
        if state.is_aborted {
            return Ok(());
        }
        if state.forwarded_all {
            // After the end of the response, Envoy ignores the rest of the request.
            return if direction == Direction::Request && stream.response.end_of_stream {
                Ok(())
            } else {
                Err(self.breaks_envoy_error(id, END_TWICE))
            };
        }
        let holds_body = state.buffer.as_ref().is_some_and(|body| !body.is_empty());
        let Some(headers) = state.forwarded_headers.as_ref().filter(|_| !holds_body) else {
            return Err(self.breaks_envoy_error(id, LOST_BODY));
        };
        // HTTP/1.1 has no trailers after a body whose length is declared.
        if headers.first("content-length").is_none() {
            if let Some(problem) = state.trailers.as_ref().and_then(check_trailers) {
                return Err(self.breaks_envoy_error_with(id, problem));
            }
            state.forwarded_trailers.clone_from(&state.trailers);
        }
        self.complete(id, direction)
    }

    /// Completes a message. A stream ends with its response.
    fn complete(&mut self, id: u32, direction: Direction) -> Result<(), Error> {
        let Ok(stream) = self.stream(id) else {
            return Ok(());
        };
        stream.state(direction).forwarded_all = true;
        if let Some(problem) = check_length(stream, direction) {
            return Err(self.breaks_envoy_error_with(id, problem));
        }
        match direction {
            Direction::Request => Ok(()),
            Direction::Response => self.end(id),
        }
    }
}

/// The response of Envoy to a request that it cannot forward.
fn check_request(headers: &Headers, had_forwarded_proto: bool) -> Option<LocalResponse> {
    let is_routed = headers.first(":path").is_some_and(|path| path.starts_with(b"/"))
        // Envoy adds `x-forwarded-proto` to each request, and matches no route without it.
        && (!had_forwarded_proto || headers.first("x-forwarded-proto").is_some());
    if !is_routed {
        return Some(LocalResponse::of_envoy(404, "", "route_not_found"));
    }
    let problem = match headers.first(":method") {
        None => "missing required header: :method".to_owned(),
        Some(_) => {
            let (name, is_name) = invalid_field(headers)?;
            let what = if is_name { "name" } else { "value for" };
            format!("invalid header {what}: {name}")
        }
    };
    let details = format!(
        "filter_removed_required_request_headers{{{}}}",
        problem.replace(' ', "_")
    );
    Some(LocalResponse::of_envoy(503, problem, &details))
}

/// The response of Envoy instead of a response without a status.
fn check_response(headers: &Headers) -> Option<LocalResponse> {
    const DETAILS: &str =
        "filter_removed_required_response_headers{missing_required_header:_:status}";
    match headers.status() {
        Some(_) => None,
        None => Some(LocalResponse::of_envoy(
            502,
            "missing required header: :status",
            DETAILS,
        )),
    }
}

/// The first field that HTTP does not allow: its name, as an error message shows it, and whether the name
/// is invalid.
fn invalid_field(headers: &Headers) -> Option<(String, bool)> {
    headers.bytes().find_map(|(name, value)| {
        let is_valid_name = is_pseudo(name) || are_all(name, &TOKEN);
        let is_valid = is_valid_name && are_all(value, &TEXT);
        (!is_valid).then(|| (escape(name), !is_valid_name))
    })
}

/// Which bytes the name and the value of a field can have. A table is fast in unoptimized builds, too.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte: u8 = 0;
    while byte < 0x7f {
        let is_mark = matches!(
            byte,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~'
        );
        table[byte as usize] = is_mark || byte.is_ascii_alphanumeric();
        byte += 1;
    }
    table
};
const TEXT: [bool; 256] = {
    let mut table = [true; 256];
    let mut byte = 0;
    while byte < b' ' {
        table[byte as usize] = byte == b'\t';
        byte += 1;
    }
    table[0x7f] = false;
    table
};

fn are_all(bytes: &[u8], table: &[bool; 256]) -> bool {
    for byte in bytes {
        if !table[usize::from(*byte)] {
            return false;
        }
    }
    true
}

/// What is wrong with fields that Envoy writes without a check. In request headers, that is only an
/// empty name.
fn check_fields(fields: &Headers) -> Option<String> {
    let invalid = match invalid_field(fields) {
        Some((name, _)) => name,
        None => fields.first("").map(|_| String::new())?,
    };
    Some(breaks::invalid_field(&invalid))
}

/// What is wrong with trailers, among which Envoy writes pseudo-headers, too.
fn check_trailers(trailers: &Headers) -> Option<String> {
    match trailers.bytes().find(|(name, _)| is_pseudo(name)) {
        Some((name, _)) => Some(breaks::invalid_field(&escape(name))),
        None => check_fields(trailers),
    }
}

/// What is wrong with the status of a response.
fn check_status(headers: &Headers) -> Option<String> {
    let status = headers.status()?;
    let is_valid = status == 101 || (200..1000).contains(&status);
    (!is_valid).then(|| breaks::invalid_status(status))
}

/// A name in a message, in which Envoy escapes control characters as JSON does.
fn escape(name: &[u8]) -> String {
    let quoted = serde_json::Value::from(String::from_utf8_lossy(name)).to_string();
    quoted.trim_matches('"').to_owned()
}

/// The headers as Envoy writes them to a connection. It changes those of a response first.
fn write(headers: &mut Headers, direction: Direction) -> Headers {
    let status = headers
        .status()
        .filter(|_| direction == Direction::Response);
    let pseudo_headers = match direction {
        Direction::Request => REQUEST_PSEUDO_HEADERS,
        Direction::Response => {
            let is_hop_by_hop =
                |name: &[u8]| HOP_BY_HOP.iter().any(|other| other.as_bytes() == name);
            headers
                .fields_mut()
                .retain(|(name, _)| !is_hop_by_hop(name));
            if headers.first("server").is_some() {
                set_in_place(headers, "server", "envoy");
            }
            RESPONSE_PSEUDO_HEADERS
        }
    };
    let is_written = |name: &[u8]| {
        !is_pseudo(name) || pseudo_headers.iter().any(|other| other.as_bytes() == name)
    };
    let mut written = headers.clone();
    written.fields_mut().retain(|(name, _)| is_written(name));
    if let Some(status) = status {
        set_in_place(&mut written, ":status", status.to_string());
    }
    written
}

/// What is wrong with the length of a body, if the extension has caused it.
fn check_length(stream: &mut StreamContext, direction: Direction) -> Option<String> {
    let is_response = direction == Direction::Response;
    if is_response && stream.is_head {
        return None;
    }
    let has_own_status = is_response && stream.has_own_status();
    let state = stream.state(direction);
    let length = state.forwarded_body.len();
    let headers = state.forwarded_headers.as_ref()?;
    let is_changed = length != state.received;
    if let Some(status @ (101 | 204 | 304)) = headers.status().filter(|_| is_response)
        && (is_changed || has_own_status)
        && length > 0
    {
        return Some(breaks::body_of_status(status));
    }
    let declared = headers.first("content-length")?;
    let is_changed = is_changed || Some(declared) != state.received_length.as_deref();
    let is_right = std::str::from_utf8(declared)
        .ok()
        .and_then(|declared| declared.parse().ok())
        .is_some_and(|declared: usize| declared == length);
    (is_changed && !is_right).then(|| breaks::wrong_length(direction, declared, length))
}
