//! Shared values (ABI: "Shared Key-Value Store").

use proxy_wasm_abi::Status;

use super::Host;

impl Host {
    /// Sets a shared value if it has this version (ABI: `proxy_set_shared_data`). Version 0 matches
    /// any version. As in Envoy, any version matches if the key does not exist.
    pub(crate) fn set_shared_data(
        &mut self,
        key: Vec<u8>,
        value: Vec<u8>,
        version: u32,
    ) -> Result<(), Status> {
        match self.shared_data.get(&key) {
            Some((_, current)) if version != 0 && version != *current => Err(Status::CasMismatch),
            _ => {
                self.replace_shared_data(key, value);
                Ok(())
            }
        }
    }

    /// Sets a shared value, whatever its version. As in Envoy, all keys share one counter of
    /// versions.
    pub(crate) fn replace_shared_data(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.shared_data_version = self.shared_data_version.checked_add(1).unwrap_or(1);
        self.shared_data
            .insert(key, (value, self.shared_data_version));
    }
}
