//! Streams (ABI: "Common HTTP and TCP stream operations", "HTTP streams").

use proxy_wasm_abi::{Status, StreamType};

use super::{Call, Outcome};
use crate::context::Direction;
use crate::host::Action;
use crate::message::Reply;

impl Call<'_> {
    pub(super) fn continue_stream(&mut self, stream: u32) -> Outcome {
        let direction = match StreamType::try_from(stream)? {
            StreamType::Request => Direction::Request,
            StreamType::Response => Direction::Response,
            StreamType::Downstream | StreamType::Upstream => {
                return Err(Status::Unimplemented.into());
            }
        };
        let host = self.host();
        let id = host.context();
        if host.streams.contains_key(&id) {
            host.actions.push_back(Action::Resume(id, direction));
        }
        Ok(())
    }

    pub(super) fn close_stream(&mut self, stream: u32) -> Outcome {
        match StreamType::try_from(stream)? {
            StreamType::Request | StreamType::Response => {
                if let Some(stream) = self.host().stream() {
                    stream.is_closed = true;
                }
                Ok(())
            }
            StreamType::Downstream | StreamType::Upstream => Err(Status::BadArgument.into()),
        }
    }

    pub(super) fn get_status(&mut self, code: u32, data: u32, size: u32) -> Outcome {
        let (number, message) = {
            let plugin = self.host().plugin();
            plugin.map_or_else(Default::default, |plugin| plugin.status.clone())
        };
        self.check([code, data, size])?;
        self.write_u32(code, number)?;
        self.return_bytes(message.as_bytes(), data, size)
    }

    // The ABI's parameters.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn send_local_response(
        &mut self,
        status: u32,
        details: u32,
        details_size: u32,
        body: u32,
        body_size: u32,
        headers: u32,
        headers_size: u32,
        _grpc_status: u32,
    ) -> Outcome {
        let details = self.read(details, details_size)?;
        let body = self.read(body, body_size)?;
        let added = self.read_map(headers, headers_size)?;
        let mut reply = Reply::new(u16::try_from(status).map_err(|_| Status::BadArgument)?);
        let headers = &mut reply.headers;
        for (name, value) in added.bytes() {
            headers.append(name, value);
        }
        // As in Envoy: the extension's own type stays, and without a body there is none.
        headers.remove("content-length");
        if body.is_empty() {
            headers.remove("content-type");
        } else {
            headers.append("content-length", body.len().to_string());
            if headers.first("content-type").is_none() {
                headers.append("content-type", "text/plain");
            }
            reply.chunks.push(body);
        }
        let host = self.host();
        let id = host.context();
        if let Some(stream) = host.streams.get_mut(&id) {
            stream.local_response = Some(reply);
            let details = response_details(details);
            stream.response_details.get_or_insert(details);
            host.actions.push_back(Action::LocalResponse(id));
        }
        Ok(())
    }
}

/// As in Envoy, white space in the details of a response becomes underscores.
fn response_details(mut details: Vec<u8>) -> Vec<u8> {
    for byte in &mut details {
        if byte.is_ascii_whitespace() || *byte == 0x0b {
            *byte = b'_';
        }
    }
    details
}
