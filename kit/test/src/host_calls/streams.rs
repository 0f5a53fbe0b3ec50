//! Streams (ABI: "Common HTTP and TCP stream operations", "HTTP streams").

use proxy_wasm_abi::{Status, StreamType};

use super::{ActiveCall, HostCallResult};
use crate::context::Direction;
use crate::host::QueuedAction;
use crate::local_response::LocalResponse;

/// The gRPC statuses. Any other number means that there is no status.
const GRPC_STATUSES: std::ops::RangeInclusive<u32> = 0..=16;

impl ActiveCall<'_> {
    /// Resumes a message when the callback has returned. From now on, the module cannot read or change
    /// the request, even if it resumes the response.
    pub(super) fn continue_stream(&mut self, stream: u32) -> HostCallResult {
        let direction = match StreamType::try_from(stream)? {
            StreamType::Request => Direction::Request,
            StreamType::Response => Direction::Response,
            StreamType::Downstream => {
                let host = self.host();
                let id = host.context();
                if host.is_connection(id) {
                    host.actions.push_back(QueuedAction::ContinueReading(id));
                }
                return Ok(());
            }
            StreamType::Upstream => return Err(Status::Unimplemented.into()),
        };
        let host = self.host();
        let id = host.context();
        if host.is_http_stream(id)
            && let Some(stream) = host.streams.get_mut(&id)
        {
            stream.request.close_all();
            host.actions.push_back(QueuedAction::Resume(id, direction));
        }
        Ok(())
    }

    /// Closes a stream when the callback has returned.
    pub(super) fn close_stream(&mut self, stream: u32) -> HostCallResult {
        let host = self.host();
        let id = host.context();
        match StreamType::try_from(stream)? {
            StreamType::Request | StreamType::Response if host.is_http_stream(id) => {
                host.actions.push_back(QueuedAction::Close(id));
            }
            StreamType::Downstream | StreamType::Upstream if host.is_connection(id) => {
                host.actions.push_back(QueuedAction::CloseConnection(id));
            }
            // The context is not of this kind.
            _ => {}
        }
        Ok(())
    }

    pub(super) fn get_status(&mut self, code: u32, data: u32, size: u32) -> HostCallResult {
        let (number, message) = {
            let plugin = self.host().plugin();
            plugin.map_or_else(Default::default, |plugin| plugin.status.clone())
        };
        self.check([code, data, size])?;
        self.write_u32(code, number)?;
        self.return_bytes(message.as_bytes(), data, size)
    }

    /// Sends a response when the callback has returned. The callback's result then does not count.
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
        grpc_status: u32,
    ) -> HostCallResult {
        let reply = LocalResponse {
            // As in Envoy: the higher 16 bits are ignored.
            status: status as u16,
            details: without_spaces(self.read(details, details_size)?),
            body: self.read(body, body_size)?,
            headers: self.read_map(headers, headers_size)?,
            grpc_status: Some(grpc_status).filter(|status| GRPC_STATUSES.contains(status)),
        };
        let host = self.host();
        host.stops_iteration = true;
        let id = host.context();
        if host.is_http_stream(id) {
            host.actions
                .push_back(QueuedAction::LocalResponse(id, reply));
        }
        Ok(())
    }
}

/// As in Envoy, white space in the details of a response becomes underscores.
fn without_spaces(mut details: Vec<u8>) -> Vec<u8> {
    for byte in &mut details {
        if byte.is_ascii_whitespace() || *byte == 0x0b {
            *byte = b'_';
        }
    }
    details
}
