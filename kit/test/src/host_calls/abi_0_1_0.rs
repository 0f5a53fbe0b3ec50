//! The host calls that only ABI 0.1.0 has.

use proxy_wasm_abi::StreamType;

use super::{ActiveCall, HostCallResult};

impl ActiveCall<'_> {
    /// The plugin's configuration if the module can read it now, and otherwise that of the VM.
    pub(super) fn get_configuration(&mut self, data: u32, size: u32) -> HostCallResult {
        let host = self.host();
        let configuration = host
            .plugin()
            .and_then(|plugin| plugin.open_configuration().map(<[u8]>::to_vec))
            .unwrap_or_else(|| host.options.vm_configuration.clone());
        self.return_bytes(&configuration, data, size)
    }

    pub(super) fn continue_request(&mut self) -> HostCallResult {
        self.continue_stream(StreamType::Request.into())
    }

    pub(super) fn continue_response(&mut self) -> HostCallResult {
        self.continue_stream(StreamType::Response.into())
    }

    /// Has no effect, because there are no routes.
    pub(super) fn clear_route_cache(&mut self) -> HostCallResult {
        Ok(())
    }
}
