//! Queues (ABI: "Shared Queues").

use proxy_wasm_abi::Status;

use super::{ActiveCall, HostCallResult};

impl ActiveCall<'_> {
    pub(super) fn register_shared_queue(
        &mut self,
        name: u32,
        name_size: u32,
        queue: u32,
    ) -> HostCallResult {
        let name = self.read(name, name_size)?;
        let id = self.host().register_own_queue(name)?;
        self.write_u32(queue, id)
    }

    pub(super) fn resolve_shared_queue(
        &mut self,
        vm_id: u32,
        vm_id_size: u32,
        name: u32,
        name_size: u32,
        queue: u32,
    ) -> HostCallResult {
        let (mut vm_id, name) = (self.read(vm_id, vm_id_size)?, self.read(name, name_size)?);
        let host = self.host();
        if vm_id.is_empty() {
            // As in Envoy: the module's own VM.
            vm_id = host.options.vm_id.clone().into_bytes();
        }
        let id = host.find_queue(&vm_id, &name);
        self.write_u32(queue, id.ok_or(Status::NotFound)?)
    }

    pub(super) fn enqueue_shared_queue(
        &mut self,
        queue: u32,
        data: u32,
        size: u32,
    ) -> HostCallResult {
        let item = self.read(data, size)?;
        self.host().enqueue(queue, item)?;
        Ok(())
    }

    pub(super) fn dequeue_shared_queue(
        &mut self,
        queue: u32,
        data: u32,
        size: u32,
    ) -> HostCallResult {
        let found = self.host().queues.get_mut(&queue).ok_or(Status::NotFound)?;
        // As in Envoy, an item that cannot be returned is lost.
        let item = found.items.pop_front().ok_or(Status::Empty)?;
        self.return_bytes(&item, data, size)
    }
}
