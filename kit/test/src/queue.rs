//! A queue that contexts share.

use std::collections::VecDeque;

/// A queue that contexts share (ABI: "Shared Queues").
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) vm_id: Vec<u8>,
    pub(crate) name: Vec<u8>,
    /// The plugin whose `proxy_on_queue_ready` is called. `None` if it runs in another VM.
    pub(crate) plugin: Option<u32>,
    pub(crate) items: VecDeque<Vec<u8>>,
}
