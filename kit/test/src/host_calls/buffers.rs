//! Buffers (ABI: "Buffers").

use proxy_wasm_abi::{BufferType, Status};

use super::{ActiveCall, HostCallResult};
use crate::context::LastBuffer;

impl ActiveCall<'_> {
    /// Returns a range of a buffer, as much of it as there is.
    pub(super) fn get_buffer_bytes(
        &mut self,
        buffer: u32,
        start: u32,
        max_size: u32,
        data: u32,
        size: u32,
    ) -> HostCallResult {
        let buffer = BufferType::try_from(buffer)?;
        let bytes = self.host().buffer(buffer).ok_or(Status::NotFound)?;
        let [start, max_size] = [start, max_size].map(to_usize);
        let rest = bytes.get(start..).unwrap_or_default();
        let bytes = rest.get(..max_size).unwrap_or(rest).to_vec();
        self.return_bytes(&bytes, data, size)
    }

    pub(super) fn get_buffer_status(
        &mut self,
        buffer: u32,
        size: u32,
        unused: u32,
    ) -> HostCallResult {
        let buffer = BufferType::try_from(buffer)?;
        let length = self.host().buffer(buffer).ok_or(Status::NotFound)?.len();
        self.check([size, unused])?;
        self.write_length(size, length)?;
        self.write_u32(unused, 0)
    }

    /// Changes a buffer: replaces its first bytes, or appends bytes. Envoy rejects a change in the
    /// middle.
    pub(super) fn set_buffer_bytes(
        &mut self,
        buffer: u32,
        start: u32,
        size: u32,
        data: u32,
        data_size: u32,
    ) -> HostCallResult {
        let buffer = BufferType::try_from(buffer)?;
        let host = self.host();
        if host.buffer(buffer).is_none() {
            return Err(Status::NotFound.into());
        }
        let bytes = self.read(data, data_size)?;
        let host = self.host();
        if buffer == BufferType::ForeignFunctionArguments {
            let Some(&mut LastBuffer::Changeable(last)) = host.last_buffer() else {
                return Err(Status::BadArgument.into());
            };
            if let Some(body) = host.buffer_mut(last) {
                return change(body, start, size, bytes);
            }
            // Envoy changes a buffer that is no longer in use.
            return Ok(());
        }
        let body = host.buffer_mut(buffer).ok_or(Status::BadArgument)?;
        change(body, start, size, bytes)
    }
}

/// Replaces the first bytes of a buffer, or appends bytes.
fn change(body: &mut Vec<u8>, start: u32, size: u32, bytes: Vec<u8>) -> HostCallResult {
    match to_usize(start) {
        0 => drop(body.splice(..to_usize(size).min(body.len()), bytes)),
        start if start >= body.len() => body.extend(bytes),
        _ => return Err(Status::BadArgument.into()),
    }
    Ok(())
}

fn to_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
