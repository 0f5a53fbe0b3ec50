//! Logging, contexts, time and timers (ABI: "Integration", "Logging", "Clocks", "Timers").

use std::time::Duration;

use proxy_wasm_abi::{LogLevel, Status};

use super::{ActiveCall, HostCallResult};
use crate::host::QueuedAction;

impl ActiveCall<'_> {
    pub(super) fn log(&mut self, level: u32, data: u32, size: u32) -> HostCallResult {
        let level = LogLevel::try_from(level)?;
        let message = self.read(data, size)?;
        self.host().write_log(level, &message);
        Ok(())
    }

    pub(super) fn get_log_level(&mut self, level: u32) -> HostCallResult {
        let current = self.host().options.log_level;
        self.write_u32(level, current.into())
    }

    pub(super) fn set_effective_context(&mut self, context: u32) -> HostCallResult {
        let host = self.host();
        // As in Envoy, 0 is the context of the callback.
        let is_own = context == 0;
        if !is_own && !host.plugins.contains_key(&context) && !host.streams.contains_key(&context) {
            return Err(Status::BadArgument.into());
        }
        host.effective = (!is_own).then_some(context);
        Ok(())
    }

    pub(super) fn done(&mut self) -> HostCallResult {
        let host = self.host();
        // As in Envoy, a stream can call it for its plugin.
        let id = host.plugin_id();
        match host.plugins.get_mut(&id) {
            Some(plugin) if plugin.awaits_done => {
                plugin.awaits_done = false;
                host.actions.push_back(QueuedAction::DeletePlugin(id));
                Ok(())
            }
            _ => Err(Status::NotFound.into()),
        }
    }

    pub(super) fn get_current_time_nanoseconds(&mut self, time: u32) -> HostCallResult {
        let now = self.host().nanoseconds();
        self.write_u64(time, now)
    }

    pub(super) fn set_tick_period_milliseconds(&mut self, period: u32) -> HostCallResult {
        let now = self.host().time;
        let plugin = self.host().plugin().ok_or(Status::InternalFailure)?;
        plugin.tick_period = Duration::from_millis(period.into());
        plugin.next_tick = now + plugin.tick_period;
        Ok(())
    }
}
