//! Shared values (ABI: "Shared Key-Value Store").

use proxy_wasm_abi::Status;

use super::Host;

impl Host {
    /// Sets a shared value if it has this version (ABI: `proxy_set_shared_data`). Version 0 matches
    /// any.
    pub(crate) fn set_shared_data(
        &mut self,
        key: Vec<u8>,
        value: Vec<u8>,
        version: u32,
    ) -> Result<(), Status> {
        let current = self.shared_data.get(&key);
        if version != 0 && version != current.map_or(0, |(_, version)| *version) {
            return Err(Status::CasMismatch);
        }
        self.replace_shared_data(key, value);
        Ok(())
    }

    /// Sets a shared value, whatever its version.
    pub(crate) fn replace_shared_data(&mut self, key: Vec<u8>, value: Vec<u8>) {
        let current = self.shared_data.get(&key);
        let version = current.map_or(0, |(_, version)| *version);
        let next = version.checked_add(1).unwrap_or(1);
        self.shared_data.insert(key, (value, next));
    }
}
