//! Queues (ABI: "Shared Queues").

use std::collections::VecDeque;

use proxy_wasm_abi::Status;

use super::{Host, Posted};
use crate::queue::Queue;

impl Host {
    /// Registers a queue of the module's own VM for the current plugin, and returns its identifier
    /// (ABI: `proxy_register_shared_queue`).
    pub(crate) fn register_own_queue(&mut self, name: Vec<u8>) -> Result<u32, Status> {
        let plugin = self.plugin_id();
        let vm_id = self.options.vm_id.clone().into_bytes();
        self.register_queue(vm_id, name, Some(plugin))
    }

    /// Registers a queue for a plugin, and returns its identifier. As in Envoy, the last plugin that
    /// registers a queue is notified.
    pub(crate) fn register_queue(
        &mut self,
        vm_id: Vec<u8>,
        name: Vec<u8>,
        plugin: Option<u32>,
    ) -> Result<u32, Status> {
        let found = self.find_queue(&vm_id, &name);
        if let Some(queue) = found.and_then(|id| self.queues.get_mut(&id)) {
            queue.plugin = plugin;
        }
        if let Some(id) = found {
            return Ok(id);
        }
        let last = self.queues.last_key_value().map_or(0, |(id, _)| *id);
        let id = last.checked_add(1).ok_or(Status::InternalFailure)?;
        let queue = Queue {
            vm_id,
            name,
            plugin,
            items: VecDeque::new(),
        };
        self.queues.insert(id, queue);
        Ok(id)
    }

    /// The identifier of the queue with this name in a VM.
    pub(crate) fn find_queue(&self, vm_id: &[u8], name: &[u8]) -> Option<u32> {
        self.queues
            .iter()
            .find(|(_, queue)| queue.vm_id == vm_id && queue.name == name)
            .map(|(id, _)| *id)
    }

    /// Puts an item into a queue, and posts the call of its plugin's `proxy_on_queue_ready`.
    pub(crate) fn enqueue(&mut self, id: u32, item: Vec<u8>) -> Result<(), Status> {
        let queue = self.queues.get_mut(&id).ok_or(Status::NotFound)?;
        queue.items.push_back(item);
        if let Some(plugin) = queue.plugin {
            self.posted
                .push_back(Posted::QueueReady { plugin, queue: id });
        }
        Ok(())
    }

    /// Takes the oldest item out of the queue with this name in a VM.
    pub(crate) fn dequeue_by_name(&mut self, vm_id: &[u8], name: &[u8]) -> Option<Vec<u8>> {
        let id = self.find_queue(vm_id, name)?;
        self.queues.get_mut(&id)?.items.pop_front()
    }

    /// As [`Host::enqueue`], for the queue with this name in the module's own VM.
    pub(crate) fn enqueue_by_name(&mut self, name: &[u8], item: Vec<u8>) -> Result<(), Status> {
        let vm_id = self.options.vm_id.clone().into_bytes();
        let id = self.find_queue(&vm_id, name).ok_or(Status::NotFound)?;
        self.enqueue(id, item)
    }
}
