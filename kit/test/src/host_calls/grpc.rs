//! gRPC calls (ABI: "gRPC calls").

use std::time::Duration;

use proxy_wasm_abi::Status;

use super::{ActiveCall, HostCallError, HostCallResult};
use crate::grpc::GrpcCall;
use crate::grpc_service::GrpcTarget;
use crate::host::QueuedAction;

impl ActiveCall<'_> {
    // The ABI's parameters.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn grpc_call(
        &mut self,
        cluster: u32,
        cluster_size: u32,
        service: u32,
        service_size: u32,
        method: u32,
        method_size: u32,
        metadata: u32,
        metadata_size: u32,
        message: u32,
        message_size: u32,
        timeout: u32,
        call: u32,
    ) -> HostCallResult {
        let texts = [
            (cluster, cluster_size),
            (service, service_size),
            (method, method_size),
        ];
        let message = self.read(message, message_size)?;
        let timeout = Duration::from_millis(timeout.into());
        self.start_grpc(
            texts,
            (metadata, metadata_size),
            Some((message, timeout)),
            call,
        )
    }

    // The ABI's parameters.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn grpc_stream(
        &mut self,
        cluster: u32,
        cluster_size: u32,
        service: u32,
        service_size: u32,
        method: u32,
        method_size: u32,
        metadata: u32,
        metadata_size: u32,
        stream: u32,
    ) -> HostCallResult {
        let texts = [
            (cluster, cluster_size),
            (service, service_size),
            (method, method_size),
        ];
        self.start_grpc(texts, (metadata, metadata_size), None, stream)
    }

    /// Starts a call with a message and a time-out, or a stream. The other arguments are addresses
    /// and sizes: of target, service and method, and of the initial metadata.
    fn start_grpc(
        &mut self,
        [target, service, method]: [(u32, u32); 3],
        metadata: (u32, u32),
        message: Option<(Vec<u8>, Duration)>,
        return_id: u32,
    ) -> HostCallResult {
        let mut text = |(data, size)| self.read(data, size);
        let target = text(target)?;
        let service = text(service)?;
        let method = text(method)?;
        let metadata = self.read_map(metadata.0, metadata.1)?;
        let host = self.host();
        let (cluster, is_checked) = match GrpcTarget::of(&target) {
            GrpcTarget::Cluster(cluster) => (cluster, true),
            GrpcTarget::Service(cluster) => (cluster, false),
            GrpcTarget::Abort => return Err(abort(&target)),
        };
        let is_missing = host.options.missing_clusters.contains(&cluster);
        if is_missing && is_checked {
            return Err(Status::ParseFailure.into());
        }
        let is_stream = message.is_none();
        let (messages, timeout) = message.unzip();
        let id = host.next_grpc_id(is_stream);
        if is_missing {
            // As in Envoy: the host call fails, and the call is reported as closed, too.
            host.actions.push_back(QueuedAction::GrpcUnavailable {
                plugin: host.plugin_id(),
                call: id,
            });
            return Err(Status::InternalFailure.into());
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let deadline = timeout.filter(|timeout| !timeout.is_zero());
        host.grpc_calls.insert(
            id,
            GrpcCall {
                id,
                cluster: text(&cluster),
                service: text(&service),
                method: text(&method),
                metadata,
                end_of_stream: !is_stream,
                messages: Vec::from_iter(messages),
                timeout,
                plugin: host.plugin_id(),
                deadline: deadline.map(|timeout| host.time + timeout),
                is_closed_by_module: false,
                is_closed_by_service: false,
                has_response: false,
            },
        );
        self.write_u32(return_id, id)
    }

    pub(super) fn grpc_send(
        &mut self,
        stream: u32,
        data: u32,
        size: u32,
        end: u32,
    ) -> HostCallResult {
        let message = self.read(data, size)?;
        if !is_stream(stream) {
            return Err(Status::BadArgument.into());
        }
        let call = self.host().grpc_calls.get_mut(&stream);
        let call = call.ok_or(Status::NotFound)?;
        // As in Envoy: what is sent after the end is lost, without an error.
        if !call.end_of_stream && !call.is_closed_by_service {
            call.messages.push(message);
            call.end_of_stream = end != 0;
        }
        Ok(())
    }

    pub(super) fn grpc_cancel(&mut self, call: u32) -> HostCallResult {
        self.known_grpc(call)?;
        self.host().grpc_calls.remove(&call);
        Ok(())
    }

    pub(super) fn grpc_close(&mut self, call: u32) -> HostCallResult {
        let found = self.known_grpc(call)?;
        if found.is_stream() && !found.is_closed_by_service {
            found.end_of_stream = true;
            found.is_closed_by_module = true;
        } else {
            self.host().grpc_calls.remove(&call);
        }
        Ok(())
    }

    fn known_grpc(&mut self, call: u32) -> HostCallResult<&mut GrpcCall> {
        if call & TYPE_MASK != CALL && !is_stream(call) {
            return Err(Status::BadArgument.into());
        }
        Ok(self
            .host()
            .grpc_calls
            .get_mut(&call)
            .ok_or(Status::NotFound)?)
    }
}

/// The kind of a call is in the lowest bits of its identifier, as in Envoy.
const TYPE_MASK: u32 = 3;
const CALL: u32 = 1;
const STREAM: u32 = 2;

fn is_stream(id: u32) -> bool {
    id & TYPE_MASK == STREAM
}

fn abort(target: &[u8]) -> HostCallError {
    HostCallError::Trap(wasmi::Error::new(format!(
        "Envoy aborts here: it reads {:?} as an encoded GrpcService, not as the name of a cluster, \
         and finds no envoy_grpc.cluster_name in it; encode a GrpcService that has one, or rename \
         the cluster",
        String::from_utf8_lossy(target)
    )))
}
