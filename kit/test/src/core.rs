//! Plugins and streams: which callbacks are called, and in which order.
//!
//! A callback never runs inside another. What a module requests in a callback, such as a local
//! response, happens when the callback has returned. What follows from it, such as the notification
//! of a plugin about a queue, happens when no callback runs.

use std::time::Duration;

use proxy_wasm_abi::Status;

use crate::context::{Direction, PluginContext};
use crate::error::Error;
use crate::host::{Host, Posted, QueuedAction};
use crate::module::Module;
use crate::options::{MAX_TIME, Options};
use crate::tcp::{Closer, End};
use crate::vm::Vm;

mod breaks;
mod calls;
mod connections;
mod filter;
mod forward;
mod replies;
mod streams;

/// A VM and all that runs in it.
pub(crate) struct Core {
    vm: Vm,
}

/// An event that is due at a time. If several are due at the same time, timers are last.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    HttpCall(u32),
    GrpcCall(u32),
    Tick(u32),
}

impl Core {
    pub(crate) fn load(module: &Module, options: Options) -> Result<Self, Error> {
        let vm = Vm::load(module, options)?;
        Ok(Self { vm })
    }

    pub(crate) fn host(&self) -> &Host {
        self.vm.host()
    }

    pub(crate) fn host_mut(&mut self) -> &mut Host {
        self.vm.host_mut()
    }

    pub(crate) fn memory_pages(&self) -> u64 {
        self.vm.memory_pages()
    }

    /// Creates a plugin context and starts it (ABI: "Context lifecycle", `proxy_on_vm_start`).
    pub(crate) fn start_plugin(&mut self, configuration: Option<&[u8]>) -> Result<u32, Error> {
        self.vm.refuel()?;
        let host = self.host_mut();
        let id = host.new_context();
        let plugin = PluginContext {
            configuration: configuration.map(<[u8]>::to_vec),
            is_configuration_open: configuration.is_some(),
            ..PluginContext::default()
        };
        host.plugins.insert(id, plugin);
        let size = host.options.vm_configuration.len();
        self.call("proxy_on_context_create", id, &[0])?;
        self.plugin(id)?.is_configuration_open = false;
        let started = self.call("proxy_on_vm_start", id, &[length(size)])?;
        let accepted = self.accepted("proxy_on_vm_start", started);
        self.run_pending()?;
        if accepted.is_err() {
            self.shut_down(id)?;
        }
        accepted.map(|()| id)
    }

    /// Configures a plugin (ABI: `proxy_on_configure`).
    pub(crate) fn configure(&mut self, id: u32, configuration: &[u8]) -> Result<(), Error> {
        self.vm.refuel()?;
        let size = length(configuration.len());
        let plugin = self.plugin(id)?;
        plugin.configuration = Some(configuration.to_vec());
        plugin.is_configuration_open = true;
        let result = self.call("proxy_on_configure", id, &[size]);
        self.plugin(id)?.is_configuration_open = false;
        let accepted = self.accepted("proxy_on_configure", result?);
        self.run_pending()?;
        accepted
    }

    fn accepted(&mut self, callback: &'static str, result: Option<u32>) -> Result<(), Error> {
        if result == Some(0) {
            let log = std::mem::take(&mut self.host_mut().callback_log);
            return Err(Error::Rejected { callback, log });
        }
        Ok(())
    }

    /// Shuts a plugin down: now, or when it calls `proxy_done` (ABI: `proxy_on_done`).
    pub(crate) fn shut_down(&mut self, id: u32) -> Result<(), Error> {
        self.vm.refuel()?;
        if self.plugin(id)?.awaits_done {
            return Err(Error::InvalidState("the plugin is being shut down already"));
        }
        if self.call("proxy_on_done", id, &[])? == Some(0) {
            self.plugin(id)?.awaits_done = true;
        } else {
            self.delete_plugin(id)?;
        }
        self.run_pending()
    }

    /// Deletes a plugin's context, and its HTTP and gRPC calls.
    fn delete_plugin(&mut self, id: u32) -> Result<(), Error> {
        let deleted = self.call("proxy_on_delete", id, &[]);
        let host = self.host_mut();
        host.plugins.remove(&id);
        host.calls.retain(|_, call| call.plugin != id);
        host.grpc_calls.retain(|_, call| call.plugin != id);
        deleted.map(drop)
    }

    pub(crate) fn plugin(&mut self, id: u32) -> Result<&mut PluginContext, Error> {
        let plugin = self.host_mut().plugins.get_mut(&id);
        plugin.ok_or(Error::InvalidState("the plugin has been shut down"))
    }

    /// Runs what callbacks have asked for, until nothing is left.
    fn run_pending(&mut self) -> Result<(), Error> {
        self.run_actions()?;
        while let Some(posted) = self.host_mut().posted.pop_front() {
            match posted {
                // The plugin may have been shut down.
                Posted::QueueReady { plugin, queue } => {
                    if self.host().plugins.contains_key(&plugin) {
                        self.call("proxy_on_queue_ready", plugin, &[queue])?;
                    }
                }
                Posted::Connected(id) => self.on_connected(id)?,
                Posted::Drained(id) => self.on_drained(id)?,
                Posted::Closed(id) => self.remove_connection(id),
            }
        }
        Ok(())
    }

    /// Does what the module has asked for in the callback that has returned.
    pub(super) fn run_actions(&mut self) -> Result<(), Error> {
        self.host_mut().stops_iteration = false;
        while let Some(action) = self.host_mut().actions.pop_front() {
            match action {
                QueuedAction::Resume(id, direction) => self.resume_by_extension(id, direction)?,
                QueuedAction::LocalResponse(id, reply) => {
                    self.check_can_respond(id)?;
                    self.send_local_response(id, reply)?;
                }
                QueuedAction::Close(id) => {
                    self.check_can_close(id)?;
                    self.close(id)?;
                }
                QueuedAction::ContinueReading(id) => self.continue_reading(id)?,
                QueuedAction::CloseConnection(id) => {
                    self.close_connection(id, Closer::Proxy, End::Ended)?;
                }
                QueuedAction::DeletePlugin(id) => self.delete_plugin(id)?,
                QueuedAction::GrpcUnavailable { plugin, call } => {
                    self.grpc_unavailable(plugin, call)?
                }
            }
        }
        Ok(())
    }

    fn resume_by_extension(&mut self, id: u32, direction: Direction) -> Result<(), Error> {
        let Some(stream) = self.host_mut().streams.get_mut(&id) else {
            return Ok(());
        };
        if stream.has_ended {
            return Ok(());
        }
        let in_own_callback = stream.callback.is_some_and(|(other, _)| other == direction);
        stream.state(direction).resumed_itself = in_own_callback;
        self.resume(id, direction)
    }

    /// Calls a plugin's timer (ABI: `proxy_on_tick`).
    pub(crate) fn tick(&mut self, plugin: u32) -> Result<(), Error> {
        self.vm.refuel()?;
        self.plugin(plugin)?;
        self.call("proxy_on_tick", plugin, &[])?;
        self.run_pending()
    }

    /// Lets time pass. Timers run, and HTTP and gRPC calls time out, each at its time.
    pub(crate) fn advance(&mut self, duration: Duration) -> Result<(), Error> {
        let end = self.host().time.saturating_add(duration).min(MAX_TIME);
        while let Some((time, due)) = self.next_due().filter(|(time, _)| *time <= end) {
            self.host_mut().time = time;
            match due {
                Due::HttpCall(id) => self.time_out_call(id)?,
                Due::GrpcCall(id) => self.time_out_grpc_call(id)?,
                Due::Tick(id) => {
                    let plugin = self.plugin(id)?;
                    plugin.next_tick = time + plugin.tick_period;
                    self.tick(id)?;
                }
            }
        }
        self.host_mut().time = end;
        Ok(())
    }

    /// What happens next as time passes, and when.
    fn next_due(&self) -> Option<(Duration, Due)> {
        let host = self.host();
        let calls = host.calls.values();
        let calls = calls.filter_map(|call| Some((call.deadline?, Due::HttpCall(call.id))));
        let grpc_calls = host.grpc_calls.values();
        let grpc_calls =
            grpc_calls.filter_map(|call| Some((call.deadline?, Due::GrpcCall(call.id))));
        let plugins = host.plugins.iter();
        let ticks = plugins
            .filter(|(_, plugin)| !plugin.tick_period.is_zero())
            .map(|(id, plugin)| (plugin.next_tick, Due::Tick(*id)));
        calls.chain(grpc_calls).chain(ticks).min()
    }

    /// Puts an item into a queue that a plugin has registered.
    pub(crate) fn enqueue(&mut self, name: &[u8], item: Vec<u8>) -> Result<(), Error> {
        self.vm.refuel()?;
        match self.host_mut().enqueue_by_name(name, item) {
            Ok(()) => self.run_pending(),
            Err(Status::NotFound) => Err(Error::InvalidState(
                "the extension has registered no queue of this name",
            )),
            Err(_) => Err(Error::InvalidState("the queue does not accept the item")),
        }
    }
}

/// A size as an argument of a callback.
fn length(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
