//! Queues (ABI: "Shared Queues").

use std::collections::VecDeque;

use proxy_wasm_abi::Status;

use super::{Action, Host};
use crate::queue::Queue;

impl Host {
    /// The identifier of the queue with this name in the module's own VM (ABI:
    /// `proxy_register_shared_queue`). If there is none, it is created.
    pub(crate) fn register_queue(&mut self, name: Vec<u8>) -> Result<u32, Status> {
        let vm_id = self.options.vm_id.clone().into_bytes();
        if let Some(id) = self.find_queue(&vm_id, &name) {
            return Ok(id);
        }
        let last = self.queues.last_key_value().map_or(0, |(id, _)| *id);
        let id = last.checked_add(1).ok_or(Status::InternalFailure)?;
        let queue = Queue {
            vm_id,
            name,
            plugin: self.plugin_id(),
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

    /// Puts an item into a queue, and queues the call of its plugin's `proxy_on_queue_ready`.
    pub(crate) fn enqueue(&mut self, id: u32, item: Vec<u8>) -> Result<(), Status> {
        let queue = self.queues.get_mut(&id).ok_or(Status::NotFound)?;
        queue.items.push_back(item);
        let plugin = queue.plugin;
        self.actions
            .push_back(Action::QueueReady { plugin, queue: id });
        Ok(())
    }

    /// As [`Host::enqueue`], for the queue with this name in the module's own VM.
    pub(crate) fn enqueue_by_name(&mut self, name: &[u8], item: Vec<u8>) -> Result<(), Status> {
        let vm_id = self.options.vm_id.clone().into_bytes();
        let id = self.find_queue(&vm_id, name).ok_or(Status::NotFound)?;
        self.enqueue(id, item)
    }
}
