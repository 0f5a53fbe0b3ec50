//! TCP connections through the embedded proxy.

use proxy_wasm_test::{Connection, Error, Proxy, Received};

use crate::tcp::{End, Event, Side, Stream};

/// The connections of a scenario, and what their ends have received before the scenario ended.
#[derive(Default)]
pub struct Connections {
    connections: Vec<Tracked>,
    observed: Option<(Vec<Stream>, Vec<Stream>)>,
}

/// A connection, and the ends of it that send nothing more.
struct Tracked {
    connection: Connection,
    ended: Vec<Side>,
}

impl Connections {
    /// Runs an event.
    pub fn apply(&mut self, event: &Event, proxy: &Proxy) -> Result<(), Error> {
        if let Event::Connect = event {
            let connection = proxy.connect()?;
            self.connections.push(Tracked {
                connection,
                ended: Vec::new(),
            });
            return Ok(());
        }
        match self.connections.last_mut() {
            Some(tracked) => tracked.apply(event),
            None => Ok(()),
        }
    }

    /// Clients and the upstream end what they have not ended, and then the listener is removed.
    pub fn end(&mut self) -> Result<(), Error> {
        self.observed = Some(self.received());
        for side in [Side::Client, Side::Upstream] {
            for tracked in &mut self.connections {
                tracked.apply(&Event::End(side))?;
            }
        }
        for tracked in &self.connections {
            if !tracked.connection.is_closed() {
                tracked.connection.close()?;
            }
        }
        Ok(())
    }

    /// What clients and upstreams have received.
    pub fn received(&self) -> (Vec<Stream>, Vec<Stream>) {
        if let Some(observed) = &self.observed {
            return observed.clone();
        }
        let connections = self.connections.iter().map(|tracked| &tracked.connection);
        let clients = connections.clone().map(Connection::downstream);
        let upstreams = connections.filter(|connection| connection.has_upstream());
        let upstreams = upstreams.map(Connection::upstream);
        (
            clients.map(stream).collect(),
            upstreams.map(stream).collect(),
        )
    }
}

impl Tracked {
    /// Over a connection that is closed or does not exist, or from an end of it that has ended, nothing
    /// arrives.
    fn apply(&mut self, event: &Event) -> Result<(), Error> {
        let side = match event {
            Event::Connect => return Ok(()),
            Event::Send(side, _) | Event::End(side) | Event::Reset(side) => *side,
        };
        let connection = &self.connection;
        let is_absent = side == Side::Upstream && !connection.has_upstream();
        let is_reset = matches!(event, Event::Reset(_));
        let has_ended = self.ended.contains(&side) && !is_reset;
        if connection.is_closed() || is_absent || has_ended {
            return Ok(());
        }
        match event {
            Event::Send(Side::Client, bytes) => return connection.send(bytes),
            Event::Send(_, bytes) => return connection.send_from_upstream(bytes),
            Event::Reset(Side::Client) => connection.reset()?,
            Event::Reset(_) => connection.reset_from_upstream()?,
            _ if side == Side::Client => connection.end()?,
            _ => connection.end_from_upstream()?,
        }
        self.ended.push(side);
        Ok(())
    }
}

fn stream(received: Received) -> Stream {
    Stream {
        bytes: received.data,
        end: match received.end {
            proxy_wasm_test::End::Open => End::Open,
            proxy_wasm_test::End::Ended => End::Ended,
            proxy_wasm_test::End::Reset => End::Reset,
        },
    }
}
