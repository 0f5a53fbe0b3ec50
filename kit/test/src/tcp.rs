//! The state of a TCP connection while it passes through the extension.

/// Which end of a connection bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client.
    Downstream,
    Upstream,
}

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Downstream => Self::Upstream,
            Self::Upstream => Self::Downstream,
        }
    }
}

/// Who closes a connection (ABI: `proxy_peer_type_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closer {
    /// The proxy: for the extension, or because the upstream has closed its connection.
    Proxy = 1,
    Client = 2,
}

/// The state of the connection to the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum UpstreamState {
    /// The extension holds the new connection.
    #[default]
    Absent,
    Connecting,
    Connected,
}

/// Whether one side of a TCP connection can receive more ("half close" and "reset" in Envoy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    /// More can come.
    #[default]
    Open,
    /// The other side sends nothing more (FIN).
    Ended,
    /// The connection was reset (RST).
    Reset,
}

/// What one side of a TCP connection, the client or the upstream, has received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// All bytes.
    pub data: Vec<u8>,
    /// Whether more can come.
    pub end: End,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    /// What has been sent, and the proxy has not read.
    unread: Vec<u8>,
    /// Whether the last byte has been sent.
    pub(crate) is_sent: bool,
    /// What has arrived and not been forwarded.
    buffer: Vec<u8>,
    /// How many bytes have arrived.
    pub(crate) arrived: usize,
    /// Whether the last byte has arrived.
    pub(crate) has_ended: bool,
    /// Whether the sender has reset its connection.
    pub(crate) is_sender_gone: bool,
    /// Whether the module can read and change the buffer.
    pub(crate) is_open: bool,
    /// What has been forwarded.
    pub(crate) received: Received,
}

impl Flow {
    /// The sender sends bytes, or the end.
    pub(crate) fn send(&mut self, data: &[u8], end: bool) {
        self.unread.extend_from_slice(data);
        self.is_sent |= end;
    }

    /// Reads what the sender has sent. Returns whether it has sent bytes, or the end.
    pub(crate) fn read(&mut self) -> bool {
        let ends = self.is_sent && !self.has_ended;
        if self.unread.is_empty() && !ends {
            return false;
        }
        self.arrived += self.unread.len();
        self.buffer.append(&mut self.unread);
        self.has_ended = self.is_sent;
        true
    }

    /// Whether the sender has sent what the proxy has not read.
    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty() || self.is_sent != self.has_ended
    }

    /// The size of what has arrived and not been forwarded.
    pub(crate) fn size(&self) -> usize {
        self.buffer.len()
    }

    /// Whether the extension has not seen some of the bytes, or the end.
    pub(crate) fn has_unseen(&self) -> bool {
        !self.buffer.is_empty() || self.has_ended
    }

    /// The bytes that the module can read and change.
    pub(crate) fn open_buffer(&mut self) -> Option<&mut Vec<u8>> {
        self.is_open.then_some(&mut self.buffer)
    }

    /// Forwards all that has arrived.
    pub(crate) fn forward(&mut self) {
        self.received.data.append(&mut self.buffer);
        if self.has_ended {
            self.finish(End::Ended);
        }
    }

    /// Ends what the receiver gets, unless it has ended.
    pub(crate) fn finish(&mut self, end: End) {
        if self.received.end == End::Open {
            self.received.end = end;
        }
    }

    /// Whether the receiver has got the end.
    pub(crate) fn is_finished(&self) -> bool {
        self.received.end != End::Open
    }
}

/// A connection of a client, and the one to the upstream.
#[derive(Debug, Default)]
pub(crate) struct TcpState {
    /// Whether `proxy_on_new_connection` has been called.
    pub(crate) has_begun: bool,
    pub(crate) upstream: UpstreamState,
    /// From the client to the upstream.
    pub(crate) from_downstream: Flow,
    /// From the upstream to the client.
    pub(crate) from_upstream: Flow,
    pub(crate) is_closed: bool,
}

impl TcpState {
    pub(crate) fn flow(&mut self, source: Side) -> &mut Flow {
        match source {
            Side::Downstream => &mut self.from_downstream,
            Side::Upstream => &mut self.from_upstream,
        }
    }
}
