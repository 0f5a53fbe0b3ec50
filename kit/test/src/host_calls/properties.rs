//! Properties (ABI: "Properties").

use proxy_wasm_abi::Status;

use super::{ActiveCall, HostCallResult};

impl ActiveCall<'_> {
    pub(super) fn get_property(
        &mut self,
        path: u32,
        path_size: u32,
        data: u32,
        size: u32,
    ) -> HostCallResult {
        let path = self.read(path, path_size)?;
        let value = self.host().property(&path)?;
        self.return_bytes(&value, data, size)
    }

    pub(super) fn set_property(
        &mut self,
        path: u32,
        path_size: u32,
        data: u32,
        size: u32,
    ) -> HostCallResult {
        let (path, value) = (self.read(path, path_size)?, self.read(data, size)?);
        let host = self.host();
        let declared = host
            .plugin()
            .and_then(|plugin| plugin.declarations.get(&path).copied());
        let stream = host.stream().ok_or(Status::NotFound)?;
        let is_read_only = declared.unwrap_or(false);
        stream
            .filter_state
            .set_property(&path, value, is_read_only)?;
        Ok(())
    }
}
