//! A TCP connection, while its bytes go through the extension.

use std::cell::RefCell;
use std::rc::Rc;

use crate::context::{Properties, StreamContext, property_path};
use crate::core::Core;
use crate::error::Error;
use crate::records::HostCall;
use crate::tcp::{Received, Side, TcpState, UpstreamState};

/// A TCP connection of a client (Envoy: "downstream connection"), and the proxy's connection to the
/// upstream. The extension is a network filter, and Envoy's TCP proxy follows it.
///
#[cfg_attr(feature = "wat", doc = "```")]
#[cfg_attr(not(feature = "wat"), doc = "```no_run")]
/// use proxy_wasm_test::Proxy;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let module = r#"(module (func (export "proxy_abi_version_0_2_1")) (memory (export "memory") 1)
/// #     (func (export "malloc") (param i32) (result i32) (i32.const 0)))"#;
/// let proxy = Proxy::load(module)?.configure("")?;
/// let connection = proxy.connect()?;
/// connection.send("PING\r\n")?;
/// assert_eq!(connection.upstream().data, b"PING\r\n");
/// connection.send_from_upstream("PONG\r\n")?;
/// assert_eq!(connection.downstream().data, b"PONG\r\n");
/// connection.end()?;
/// connection.end_from_upstream()?;
/// assert!(connection.is_closed());
/// # Ok(())
/// # }
/// ```
///
/// The proxy connects to the upstream when the extension continues the new connection. A connection is
/// closed, and `proxy_on_downstream_connection_close`, `proxy_on_done`, `proxy_on_log` and
/// `proxy_on_delete` are called, when both sides have ended it, one has reset it, or the extension closes
/// it. If it is dropped before, the client resets it.
pub struct Connection {
    core: Rc<RefCell<Core>>,
    id: u32,
}

impl Connection {
    pub(crate) fn open(core: Rc<RefCell<Core>>, plugin: u32) -> Result<Self, Error> {
        let id = core.borrow_mut().connect(plugin, Properties::new())?;
        Ok(Self { core, id })
    }

    /// The client sends bytes (ABI: `proxy_on_downstream_data`).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] if the connection is closed, or this side has ended it;
    /// [`Error::Trap`] if the module traps.
    pub fn send(&self, data: impl AsRef<[u8]>) -> Result<(), Error> {
        self.receive(Side::Downstream, data.as_ref(), false)
    }

    /// The client sends nothing more (FIN). The upstream still can.
    ///
    /// # Errors
    ///
    /// As for [`Connection::send`].
    pub fn end(&self) -> Result<(), Error> {
        self.receive(Side::Downstream, &[], true)
    }

    /// The client resets the connection (RST).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] if the connection is closed, [`Error::Trap`] if the module traps.
    pub fn reset(&self) -> Result<(), Error> {
        let mut core = self.core.borrow_mut();
        core.reset_tcp(self.id, Side::Downstream)
    }

    /// The upstream sends bytes (ABI: `proxy_on_upstream_data`).
    ///
    /// # Errors
    ///
    /// As for [`Connection::send`]; [`Error::InvalidState`] if the extension holds the new connection.
    pub fn send_from_upstream(&self, data: impl AsRef<[u8]>) -> Result<(), Error> {
        self.receive(Side::Upstream, data.as_ref(), false)
    }

    /// The upstream sends nothing more (FIN). The client still can.
    ///
    /// # Errors
    ///
    /// As for [`Connection::send_from_upstream`].
    pub fn end_from_upstream(&self) -> Result<(), Error> {
        self.receive(Side::Upstream, &[], true)
    }

    /// The upstream resets its connection (RST), and then the proxy resets the client's.
    ///
    /// # Errors
    ///
    /// As for [`Connection::reset`]; [`Error::InvalidState`] if the extension holds the new
    /// connection.
    pub fn reset_from_upstream(&self) -> Result<(), Error> {
        let mut core = self.core.borrow_mut();
        core.reset_tcp(self.id, Side::Upstream)
    }

    /// The proxy closes the connection, as Envoy does if it is idle, or if its listener is removed.
    ///
    /// # Errors
    ///
    /// As for [`Connection::reset`].
    pub fn close(&self) -> Result<(), Error> {
        self.core.borrow_mut().close_tcp(self.id)
    }

    fn receive(&self, source: Side, data: &[u8], end: bool) -> Result<(), Error> {
        let mut core = self.core.borrow_mut();
        core.receive_tcp(self.id, source, data, end)
    }

    /// Reads the connection's context.
    fn with_context<T: Default>(&self, read: impl FnOnce(&StreamContext) -> T) -> T {
        let core = self.core.borrow();
        let host = core.host();
        let stream = host.streams.get(&self.id);
        let stream = stream.or_else(|| host.ended_streams.get(&self.id));
        stream.map(read).unwrap_or_default()
    }

    fn with_state<T: Default>(&self, read: impl FnOnce(&TcpState) -> T) -> T {
        self.with_context(|stream| stream.tcp.as_ref().map(read).unwrap_or_default())
    }

    /// What the upstream has received.
    pub fn upstream(&self) -> Received {
        self.with_state(|tcp| tcp.from_downstream.received.clone())
    }

    /// What the client has received.
    pub fn downstream(&self) -> Received {
        self.with_state(|tcp| tcp.from_upstream.received.clone())
    }

    /// Whether the proxy has connected to the upstream. It does not connect while the extension holds the
    /// new connection.
    pub fn has_upstream(&self) -> bool {
        self.with_state(|tcp| tcp.upstream == UpstreamState::Connected)
    }

    /// Whether the connection is closed, and its context deleted.
    pub fn is_closed(&self) -> bool {
        self.with_state(|tcp| tcp.is_closed)
    }

    /// Sets a property that this connection sees from now on: see [`properties`](crate::properties).
    pub fn set_property(&self, path: &[&str], value: impl AsRef<[u8]>) {
        if let Ok(stream) = self.core.borrow_mut().stream(self.id) {
            let value = value.as_ref().to_vec();
            stream.properties.insert(property_path(path), value);
        }
    }

    /// A value of the connection's filter state: see [`Stream::filter_state`](crate::Stream::filter_state).
    pub fn filter_state(&self, key: &str) -> Option<Vec<u8>> {
        let key = key.as_bytes();
        self.with_context(|stream| stream.filter_state.get(key).map(<[u8]>::to_vec))
    }

    /// The fuel that the module's callbacks used for this connection so far: see [Fuel](crate#fuel).
    pub fn fuel(&self) -> u64 {
        self.with_context(|stream| stream.fuel)
    }

    /// The host calls that the module made for this connection so far, in order.
    pub fn host_calls(&self) -> Vec<HostCall> {
        self.with_context(|stream| stream.host_calls.clone())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // An error is ignored: the connection is closed, or it is a trap, after which each call fails.
        if let Ok(mut core) = self.core.try_borrow_mut() {
            let _ = core.drop_tcp(self.id);
        }
    }
}
