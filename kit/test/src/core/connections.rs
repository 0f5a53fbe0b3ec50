//! TCP connections: how bytes pass through the extension, and how a connection ends.
//!
//! This is Envoy's chain of network filters, in which the extension is the only filter before the TCP
//! proxy. What the extension holds stays in a buffer, is shown again with what arrives next, and is lost
//! when the connection is closed.

use super::{Core, length};
use crate::context::Properties;
use crate::error::Error;
use crate::host::Posted;
use crate::tcp::{Closer, End, Flow, Side, TcpState, UpstreamState};

/// The action with which a connection or its bytes continue. All others hold them.
const CONTINUE: u32 = 0;

/// What `proxy_on_upstream_connection_close` gets: Envoy does not say who has closed the connection.
const UNKNOWN: u32 = 0;

const NO_UPSTREAM: Error = Error::InvalidState(
    "there is no connection to the upstream, because the extension holds the new connection",
);
const CLOSED: Error = Error::InvalidState("the connection is closed");

impl Core {
    /// A client connects.
    pub(crate) fn connect(&mut self, plugin: u32, properties: Properties) -> Result<u32, Error> {
        self.vm.refuel()?;
        let id = self.open(plugin, properties)?;
        self.stream(id)?.tcp = Some(TcpState::default());
        self.read(id)?;
        self.run_pending()?;
        Ok(id)
    }

    /// The state of a connection that is not closed.
    fn tcp(&mut self, id: u32) -> Option<&mut TcpState> {
        let tcp = self.host_mut().streams.get_mut(&id)?.tcp.as_mut();
        tcp.filter(|tcp| !tcp.is_closed)
    }

    /// The direction in which a side can send: the upstream only if the proxy has connected to it.
    fn flow(&mut self, id: u32, source: Side) -> Result<&mut Flow, Error> {
        let tcp = self.tcp(id).ok_or(CLOSED)?;
        if source == Side::Upstream && tcp.upstream != UpstreamState::Connected {
            return Err(NO_UPSTREAM);
        }
        Ok(tcp.flow(source))
    }

    /// Receives bytes, or the end, from the client or the upstream.
    pub(crate) fn receive_tcp(
        &mut self,
        id: u32,
        source: Side,
        data: &[u8],
        end: bool,
    ) -> Result<(), Error> {
        self.vm.refuel()?;
        let flow = self.flow(id, source)?;
        if flow.is_sent {
            return Err(Error::InvalidState("this side has ended the connection"));
        }
        flow.send(data, end);
        self.process(id, source)?;
        self.run_pending()
    }

    /// Reads what has been sent, and processes it. Envoy does not read, and does not notice a reset,
    /// before it has connected to the upstream, while the extension holds more than the limit, and
    /// after the end.
    fn process(&mut self, id: u32, source: Side) -> Result<(), Error> {
        let limit = self.host().options.buffer_limit;
        let Some(tcp) = self.tcp(id) else {
            return Ok(());
        };
        let is_connected = tcp.upstream == UpstreamState::Connected;
        let flow = tcp.flow(source);
        if !is_connected || flow.size() > limit {
            return Ok(());
        }
        if flow.read() {
            match source {
                Side::Downstream => self.read(id)?,
                Side::Upstream => self.write(id)?,
            }
            self.close_if_both_have_ended(id, source)?;
        }
        let Some(tcp) = self.tcp(id) else {
            return Ok(());
        };
        let flow = tcp.flow(source);
        if flow.is_sender_gone && !flow.has_ended {
            return self.close_connection(id, closer(source), End::Reset);
        }
        Ok(())
    }

    /// Closes a connection whose other direction has ended before (Envoy: `bothSidesHalfClosed`).
    fn close_if_both_have_ended(&mut self, id: u32, source: Side) -> Result<(), Error> {
        let Some(tcp) = self.tcp(id) else {
            return Ok(());
        };
        let (client, upstream) = (&tcp.from_downstream, &tcp.from_upstream);
        let closer = match source {
            Side::Downstream if client.has_ended && upstream.is_finished() => Closer::Client,
            // The connection to the upstream, or the connection of the client, has ended in both directions.
            _ if upstream.has_ended && client.is_finished() => Closer::Proxy,
            _ if client.has_ended && upstream.is_finished() => Closer::Proxy,
            _ => return Ok(()),
        };
        self.close_connection(id, closer, End::Ended)
    }

    /// The client, or the upstream, resets its connection.
    pub(crate) fn reset_tcp(&mut self, id: u32, source: Side) -> Result<(), Error> {
        self.vm.refuel()?;
        self.flow(id, source)?.is_sender_gone = true;
        self.process(id, source)?;
        self.run_pending()
    }

    /// Removes a connection. The client resets it, even if Envoy would notice that later.
    pub(crate) fn drop_tcp(&mut self, id: u32) -> Result<(), Error> {
        if self.tcp(id).is_some() {
            self.vm.refuel()?;
            self.close_connection(id, Closer::Client, End::Reset)?;
            self.run_pending()?;
        }
        self.host_mut().ended_streams.remove(&id);
        Ok(())
    }

    /// The proxy closes the connection.
    pub(crate) fn close_tcp(&mut self, id: u32) -> Result<(), Error> {
        self.vm.refuel()?;
        self.tcp(id).ok_or(CLOSED)?;
        self.close_connection(id, Closer::Proxy, End::Ended)?;
        self.run_pending()
    }

    /// Shows the extension what has arrived from the client, and forwards it if it continues (Envoy:
    /// `onContinueReading`).
    fn read(&mut self, id: u32) -> Result<(), Error> {
        let Some(tcp) = self.tcp(id) else {
            return Ok(());
        };
        if !std::mem::replace(&mut tcp.has_begun, true) && !self.begin(id)? {
            return Ok(());
        }
        let has_unseen = self
            .tcp(id)
            .is_some_and(|tcp| tcp.from_downstream.has_unseen());
        if has_unseen && !self.show(id, Side::Downstream)? {
            return Ok(());
        }
        self.continue_reading(id)
    }

    /// Forwards what has arrived from the client to the upstream, to which the proxy connects if it has
    /// not.
    pub(super) fn continue_reading(&mut self, id: u32) -> Result<(), Error> {
        let Some(tcp) = self.tcp(id) else {
            return Ok(());
        };
        match tcp.upstream {
            UpstreamState::Absent => {
                tcp.upstream = UpstreamState::Connecting;
                self.host_mut().posted.push_back(Posted::Connected(id));
            }
            UpstreamState::Connecting => {}
            UpstreamState::Connected => return self.forward(id, Side::Downstream),
        }
        Ok(())
    }

    /// Forwards all that has arrived. If the receiver is gone, Envoy notices that now.
    fn forward(&mut self, id: u32, source: Side) -> Result<(), Error> {
        let Some(tcp) = self.tcp(id) else {
            return Ok(());
        };
        let receiver = source.other();
        if tcp.flow(receiver).is_sender_gone && tcp.flow(source).size() > 0 {
            return self.close_connection(id, closer(receiver), End::Reset);
        }
        let flow = tcp.flow(source);
        flow.forward();
        if flow.has_unread() {
            self.host_mut().posted.push_back(Posted::Drained(id));
        }
        Ok(())
    }

    /// The proxy has connected to the upstream, and reads what the client has sent before.
    pub(super) fn on_connected(&mut self, id: u32) -> Result<(), Error> {
        let Some(tcp) = self.tcp(id) else {
            return Ok(());
        };
        tcp.upstream = UpstreamState::Connected;
        self.process(id, Side::Downstream)
    }

    /// The extension holds nothing any more.
    pub(super) fn on_drained(&mut self, id: u32) -> Result<(), Error> {
        self.process(id, Side::Downstream)?;
        self.process(id, Side::Upstream)
    }

    /// Shows the extension what has arrived from the upstream, and forwards it if it continues.
    fn write(&mut self, id: u32) -> Result<(), Error> {
        let Some(tcp) = self.tcp(id) else {
            return Ok(());
        };
        let end = tcp.from_upstream.has_ended;
        let continues = self.show(id, Side::Upstream)?;
        if end {
            self.call("proxy_on_upstream_connection_close", id, &[UNKNOWN])?;
        }
        if continues {
            self.forward(id, Side::Upstream)?;
        }
        Ok(())
    }

    /// Creates the context and shows the extension the new connection. Returns whether it continues.
    fn begin(&mut self, id: u32) -> Result<bool, Error> {
        let plugin = self.stream(id)?.plugin;
        self.call("proxy_on_context_create", id, &[plugin])?;
        if let Ok(stream) = self.stream(id) {
            stream.is_created = true;
        }
        let result = self.call("proxy_on_new_connection", id, &[])?;
        Ok(result.unwrap_or(CONTINUE) == CONTINUE)
    }

    /// Shows the extension bytes. Returns whether they continue.
    fn show(&mut self, id: u32, source: Side) -> Result<bool, Error> {
        let Some(tcp) = self.tcp(id) else {
            return Ok(false);
        };
        let flow = tcp.flow(source);
        flow.is_open = true;
        let arguments = [length(flow.size()), u32::from(flow.has_ended)];
        let callback = match source {
            Side::Downstream => "proxy_on_downstream_data",
            Side::Upstream => "proxy_on_upstream_data",
        };
        let result = self.call(callback, id, &arguments)?.unwrap_or(CONTINUE);
        let continues = result == CONTINUE;
        let Some(tcp) = self.tcp(id) else {
            return Ok(false);
        };
        tcp.flow(source).is_open = !continues;
        Ok(continues)
    }

    /// Closes a connection (ABI: "Context lifecycle"; the order is Envoy's).
    pub(super) fn close_connection(
        &mut self,
        id: u32,
        closer: Closer,
        end: End,
    ) -> Result<(), Error> {
        let now = self.host().time;
        let Some(tcp) = self.tcp(id) else {
            return Ok(());
        };
        tcp.is_closed = true;
        let has_upstream = tcp.upstream == UpstreamState::Connected;
        let [client_is_gone, upstream_is_gone] =
            [Side::Downstream, Side::Upstream].map(|source| tcp.flow(source).is_sender_gone);
        if !client_is_gone {
            tcp.from_upstream.finish(end);
        }
        if has_upstream && !upstream_is_gone {
            tcp.from_downstream.finish(end);
        }
        self.host_mut().posted.push_back(Posted::Closed(id));
        let stream = self.stream(id)?;
        stream.ended = Some(now);
        // As in Envoy, none of these callbacks is called if the extension closes the connection in
        // `proxy_on_context_create`.
        if !stream.is_created {
            return Ok(());
        }
        self.call("proxy_on_downstream_connection_close", id, &[closer as u32])?;
        self.call("proxy_on_done", id, &[])?;
        self.call("proxy_on_log", id, &[])?;
        self.call("proxy_on_delete", id, &[])?;
        Ok(())
    }

    /// Moves a connection that is closed to those that a test can read.
    pub(super) fn remove_connection(&mut self, id: u32) {
        let host = self.host_mut();
        if let Some(stream) = host.streams.remove(&id) {
            host.ended_streams.insert(id, stream);
        }
    }
}

/// Who closes a connection if this end of it is gone.
fn closer(source: Side) -> Closer {
    match source {
        Side::Downstream => Closer::Client,
        Side::Upstream => Closer::Proxy,
    }
}
