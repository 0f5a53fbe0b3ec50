//! Shared values (ABI: "Shared Key-Value Store").

use proxy_wasm_abi::Status;

use super::{ActiveCall, HostCallResult};

impl ActiveCall<'_> {
    pub(super) fn set_shared_data(
        &mut self,
        key: u32,
        key_size: u32,
        data: u32,
        size: u32,
        version: u32,
    ) -> HostCallResult {
        let (key, value) = (self.read(key, key_size)?, self.read(data, size)?);
        self.host().set_shared_data(key, value, version)?;
        Ok(())
    }

    pub(super) fn get_shared_data(
        &mut self,
        key: u32,
        key_size: u32,
        data: u32,
        size: u32,
        version: u32,
    ) -> HostCallResult {
        let key = self.read(key, key_size)?;
        let found = self.host().shared_data.get(&key).cloned();
        let (value, current) = found.ok_or(Status::NotFound)?;
        self.return_bytes(&value, data, size)?;
        self.write_u32(version, current)
    }
}
