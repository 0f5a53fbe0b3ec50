//! HTTP and gRPC calls: what the extension gets in response.

use super::replies::UPSTREAM_RESET;
use super::{Core, length};
use crate::context::GrpcResponse;
use crate::error::Error;
use crate::grpc::GrpcReply;
use crate::headers::Headers;
use crate::local_response::LocalResponse;
use crate::message::Reply;

const NO_HTTP_CALL: Error =
    Error::InvalidState("no HTTP call with this identifier waits for a response");
const NO_GRPC_CALL: Error =
    Error::InvalidState("no gRPC call with this identifier waits for a response");

/// What `proxy_get_status` returns after a connection has broken: `WasmResult::BrokenConnection` in
/// Envoy.
const BROKEN_CONNECTION: u32 = 11;

/// The gRPC statuses that Envoy itself reports (`google.rpc.Code`).
const OK: u32 = 0;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;

/// The highest status that gRPC defines. Envoy reports a higher one as -1.
const MAX_STATUS: u32 = 16;

impl Core {
    /// Responds to an HTTP call (ABI: `proxy_on_http_call_response`). `None`: the connection breaks
    /// after the response has begun.
    pub(crate) fn respond_to_call(&mut self, call: u32, reply: Option<Reply>) -> Result<(), Error> {
        self.vm.refuel()?;
        let call = self.host_mut().calls.remove(&call).ok_or(NO_HTTP_CALL)?;
        let plugin = self.plugin(call.plugin)?;
        if reply.is_none() {
            plugin.status = (BROKEN_CONNECTION, "reset".to_owned());
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
            // As in Envoy, only the message is cleared, not the number.
            plugin.status.1.clear();
        }
        result?;
        self.run_pending()
    }

    /// Responds to an HTTP call as Envoy itself does.
    fn respond_as_envoy(&mut self, call: u32, status: u16, body: String) -> Result<(), Error> {
        let (headers, body) = LocalResponse::of_envoy(status, body, "").write(false, false);
        let reply = Reply {
            headers,
            chunks: vec![body],
            trailers: None,
        };
        self.respond_to_call(call, Some(reply))
    }

    /// Lets an HTTP call fail because the service cannot be reached.
    pub(crate) fn fail_call(&mut self, call: u32) -> Result<(), Error> {
        let body = UPSTREAM_RESET.to_owned() + "remote connection failure";
        self.respond_as_envoy(call, 503, body)
    }

    /// Lets an HTTP call time out.
    pub(super) fn time_out_call(&mut self, call: u32) -> Result<(), Error> {
        self.respond_as_envoy(call, 504, "upstream request timeout".to_owned())
    }

    /// Lets a gRPC call time out.
    pub(super) fn time_out_grpc_call(&mut self, call: u32) -> Result<(), Error> {
        self.vm.refuel()?;
        let message = "upstream request timeout{response_timeout}".to_owned();
        self.close_grpc_call(call, UNAVAILABLE, message)
    }

    /// Reports a gRPC call to a cluster that does not exist as closed.
    pub(super) fn grpc_unavailable(&mut self, plugin: u32, call: u32) -> Result<(), Error> {
        if self.plugin(plugin).is_err() {
            return Ok(());
        }
        let message = "Cluster not available".to_owned();
        self.on_grpc_close(plugin, call, UNAVAILABLE, message)
    }

    /// Responds to a gRPC call, or to a stream (ABI: "gRPC calls"). The extension may cancel it
    /// while it gets the response.
    pub(crate) fn respond_to_grpc_call(&mut self, id: u32, reply: GrpcReply) -> Result<(), Error> {
        self.vm.refuel()?;
        let calls = &self.host().grpc_calls;
        let call = calls.get(&id).filter(|call| !call.is_closed_by_service);
        let call = call.ok_or(NO_GRPC_CALL)?;
        if call.is_stream() {
            self.respond_to_grpc_stream(id, reply)?;
        } else {
            let (status, message) = reply.status.unwrap_or_default();
            let message = with_details(&message);
            match reply.messages.into_iter().next_back() {
                Some(response) if status == OK => {
                    let plugin = call.plugin;
                    self.on_grpc_receive(plugin, id, response)?;
                    self.host_mut().grpc_calls.remove(&id);
                }
                None if status == OK => self.close_grpc_call(id, INTERNAL, String::new())?,
                _ => self.close_grpc_call(id, status, message)?,
            }
        }
        self.run_pending()
    }

    fn respond_to_grpc_stream(&mut self, id: u32, reply: GrpcReply) -> Result<(), Error> {
        let Some(call) = self.host_mut().grpc_calls.get_mut(&id) else {
            return Ok(());
        };
        let plugin = call.plugin;
        let begins = !std::mem::replace(&mut call.has_response, true);
        let mut head =
            Headers::from_iter([(":status", "200"), ("content-type", "application/grpc")]);
        // A response that is only a status ("Trailers-Only") has it in the headers, which Envoy passes as
        // trailers.
        let is_status_only = begins
            && reply.messages.is_empty()
            && reply.metadata.is_empty()
            && reply.status.is_some();
        let mut trailers = Headers::default();
        if is_status_only {
            std::mem::swap(&mut head, &mut trailers);
        }
        head.fields_mut().extend(reply.metadata.into_fields());
        if begins {
            let callback = "proxy_on_grpc_receive_initial_metadata";
            let count = head.len();
            self.on_grpc(callback, plugin, id, count, head, |response| {
                &mut response.initial_metadata
            })?;
        }
        for message in reply.messages {
            self.on_grpc_receive(plugin, id, message)?;
        }
        let Some((status, message)) = reply.status else {
            return Ok(());
        };
        trailers.append("grpc-status", status.to_string());
        if !message.is_empty() {
            trailers.append("grpc-message", &message);
        }
        trailers.fields_mut().extend(reply.trailers.into_fields());
        let callback = "proxy_on_grpc_receive_trailing_metadata";
        let count = trailers.len();
        self.on_grpc(callback, plugin, id, count, trailers, |response| {
            &mut response.trailing_metadata
        })?;
        self.close_grpc_call(id, status, with_details(&message))
    }

    /// Shows the extension a message, unless it has cancelled the call.
    fn on_grpc_receive(&mut self, plugin: u32, id: u32, message: Vec<u8>) -> Result<(), Error> {
        let callback = "proxy_on_grpc_receive";
        self.on_grpc(callback, plugin, id, message.len(), message, |response| {
            &mut response.message
        })
    }

    /// Shows the extension a part of a response, which it can read only in this callback, unless it
    /// has cancelled the call.
    fn on_grpc<T>(
        &mut self,
        callback: &'static str,
        plugin: u32,
        id: u32,
        size: usize,
        part: T,
        place: impl Fn(&mut GrpcResponse) -> &mut Option<T>,
    ) -> Result<(), Error> {
        if !self.host().grpc_calls.contains_key(&id) {
            return Ok(());
        }
        *place(&mut self.plugin(plugin)?.grpc_response) = Some(part);
        let result = self.vm.call(callback, plugin, &[id, length(size)]);
        if let Ok(plugin) = self.plugin(plugin) {
            *place(&mut plugin.grpc_response) = None;
        }
        result?;
        self.run_pending()
    }

    /// Closes a call or stream with a status, unless the extension has cancelled it.
    fn close_grpc_call(&mut self, id: u32, status: u32, message: String) -> Result<(), Error> {
        let Some(call) = self.host_mut().grpc_calls.get_mut(&id) else {
            return Ok(());
        };
        call.is_closed_by_service = true;
        let plugin = call.plugin;
        self.on_grpc_close(plugin, id, status, message)?;
        // A stream stays until both sides have closed it.
        let calls = &mut self.host_mut().grpc_calls;
        if calls
            .get(&id)
            .is_some_and(|call| !call.is_stream() || call.is_closed_by_module)
        {
            calls.remove(&id);
        }
        Ok(())
    }

    fn on_grpc_close(
        &mut self,
        plugin: u32,
        id: u32,
        status: u32,
        message: String,
    ) -> Result<(), Error> {
        let status = if status > MAX_STATUS {
            u32::MAX
        } else {
            status
        };
        self.plugin(plugin)?.status = (status, message);
        let result = self.vm.call("proxy_on_grpc_close", plugin, &[id, status]);
        if let Ok(plugin) = self.plugin(plugin) {
            // As in Envoy, only the message is cleared, not the number.
            plugin.status.1.clear();
        }
        result?;
        self.run_pending()
    }
}

/// A status message as Envoy 1.40 shows it: with the response code details.
fn with_details(message: &str) -> String {
    if message.is_empty() {
        "via_upstream".to_owned()
    } else {
        format!("{message}{{via_upstream}}")
    }
}
