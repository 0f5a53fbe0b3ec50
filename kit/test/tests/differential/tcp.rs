//! What happens to TCP connections, and what their ends receive.

/// One end of the connections that pass through a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Upstream,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Event {
    /// A client connects.
    Connect,
    Send(Side, String),
    /// A side sends nothing more (FIN).
    End(Side),
    /// A side ends the connection in both directions at once (RST).
    Reset(Side),
}

/// Whether a reader of a connection has received the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum End {
    #[default]
    Open,
    /// Nothing more comes.
    Ended,
    Reset,
}

/// What one end of a connection has received.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    pub bytes: Vec<u8>,
    pub end: End,
}

impl Stream {
    /// Lines to compare and to print.
    pub fn print(&self, title: &str, escape: impl Fn(&[u8]) -> String, lines: &mut Vec<String>) {
        lines.push(format!("{title} receives '{}'", escape(&self.bytes)));
        match self.end {
            End::Open => {}
            End::Ended => lines.push(format!("{title} receives the end")),
            End::Reset => lines.push(format!("{title} receives a reset")),
        }
    }
}
