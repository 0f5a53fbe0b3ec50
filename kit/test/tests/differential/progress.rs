//! How much of a scenario has happened.

use crate::observation::Response;
use crate::tcp::{End, Stream};

/// What clients and upstreams have received.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    responses: usize,
    tcp_bytes: usize,
    tcp_ends: usize,
}

impl Progress {
    pub fn new<'a>(
        responses: impl IntoIterator<Item = &'a Response>,
        streams: impl IntoIterator<Item = &'a Stream>,
    ) -> Self {
        let is_over = |response: &&Response| !matches!(response, Response::Waiting);
        let mut progress = Self {
            responses: responses.into_iter().filter(is_over).count(),
            ..Self::default()
        };
        for stream in streams {
            progress.tcp_bytes += stream.bytes.len();
            progress.tcp_ends += usize::from(stream.end != End::Open);
        }
        progress
    }

    pub fn has_reached(self, other: Self) -> bool {
        self.responses >= other.responses
            && self.tcp_bytes >= other.tcp_bytes
            && self.tcp_ends >= other.tcp_ends
    }
}
