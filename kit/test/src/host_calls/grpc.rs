//! gRPC calls (ABI: "gRPC calls").

use proxy_wasm_abi::Status;

use super::{Call, Outcome};

impl Call<'_> {
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
        _timeout: u32,
        _call: u32,
    ) -> Outcome {
        self.read(message, message_size)?;
        self.grpc_stream(
            cluster,
            cluster_size,
            service,
            service_size,
            method,
            method_size,
            metadata,
            metadata_size,
            0,
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
        _stream: u32,
    ) -> Outcome {
        self.read(cluster, cluster_size)?;
        self.read(service, service_size)?;
        self.read(method, method_size)?;
        self.read(metadata, metadata_size)?;
        // "INTERNAL_FAILURE when the host failed to send a gRPC call."
        Err(Status::InternalFailure.into())
    }

    pub(super) fn grpc_send(&mut self, _stream: u32, data: u32, size: u32, _end: u32) -> Outcome {
        self.read(data, size)?;
        Err(Status::NotFound.into())
    }

    pub(super) fn grpc_cancel(&mut self, _call: u32) -> Outcome {
        Err(Status::NotFound.into())
    }

    pub(super) fn grpc_close(&mut self, _call: u32) -> Outcome {
        Err(Status::NotFound.into())
    }
}
