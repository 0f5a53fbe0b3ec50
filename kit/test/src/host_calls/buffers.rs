//! Buffers (ABI: "Buffers").

use proxy_wasm_abi::{BufferType, Status};

use super::{Call, Outcome};

impl Call<'_> {
    pub(super) fn get_buffer_bytes(
        &mut self,
        buffer: u32,
        start: u32,
        max_size: u32,
        data: u32,
        size: u32,
    ) -> Outcome {
        let buffer = BufferType::try_from(buffer)?;
        let end = start.checked_add(max_size).ok_or(Status::BadArgument)?;
        let bytes = self.host().buffer(buffer).ok_or(Status::NotFound)?;
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = match bytes.get(start..end.max(start)) {
            Some([]) => return Ok(()),
            Some(bytes) => bytes.to_vec(),
            None => return Err(Status::BadArgument.into()),
        };
        self.return_bytes(&bytes, data, size)
    }

    pub(super) fn get_buffer_status(&mut self, buffer: u32, size: u32, unused: u32) -> Outcome {
        let buffer = BufferType::try_from(buffer)?;
        let length = self.host().buffer(buffer).ok_or(Status::NotFound)?.len();
        self.check([size, unused])?;
        self.write_length(size, length)?;
        self.write_u32(unused, 0)
    }

    pub(super) fn set_buffer_bytes(
        &mut self,
        buffer: u32,
        start: u32,
        size: u32,
        data: u32,
        data_size: u32,
    ) -> Outcome {
        let buffer = BufferType::try_from(buffer)?;
        let bytes = self.read(data, data_size)?;
        let host = self.host();
        if host.buffer_mut(buffer).is_none() && host.buffer(buffer).is_some() {
            // As in Envoy: the buffer exists, but cannot be changed.
            return Err(Status::BadArgument.into());
        }
        let body = host.buffer_mut(buffer).ok_or(Status::NotFound)?;
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(body.len());
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let end = start.saturating_add(size).min(body.len());
        body.splice(start..end, bytes);
        Ok(())
    }
}
