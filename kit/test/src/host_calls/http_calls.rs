//! HTTP calls (ABI: "HTTP calls").

use std::time::Duration;

use proxy_wasm_abi::Status;

use super::{ActiveCall, HostCallResult};
use crate::records::HttpCall;

/// Envoy reads the time-out as a signed number, in milliseconds.
const MAX_TIMEOUT: u32 = i32::MAX.cast_unsigned();

impl ActiveCall<'_> {
    // The ABI's parameters.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn http_call(
        &mut self,
        cluster: u32,
        cluster_size: u32,
        headers: u32,
        headers_size: u32,
        body: u32,
        body_size: u32,
        trailers: u32,
        trailers_size: u32,
        timeout: u32,
        call: u32,
    ) -> HostCallResult {
        let cluster = self.read(cluster, cluster_size)?;
        let mut headers = self.read_map(headers, headers_size)?;
        let body = self.read(body, body_size)?;
        let trailers = self.read_map(trailers, trailers_size)?;
        self.write_u32(call, 0)?;
        let host = self.host();
        let required: [&[&str]; 3] = [&[":method"], &[":path"], &[":authority", "host"]];
        let has = |names: &[&str]| names.iter().any(|name| headers.first(name).is_some());
        if cluster.is_empty()
            || host.options.missing_clusters.contains(&cluster)
            || !required.into_iter().all(has)
            || timeout > MAX_TIMEOUT
        {
            return Err(Status::BadArgument.into());
        }
        if !body.is_empty() {
            headers.replace("content-length", body.len().to_string());
        }
        let timeout = Duration::from_millis(timeout.into());
        let id = host.start_call(HttpCall {
            id: 0,
            cluster: String::from_utf8_lossy(&cluster).into_owned(),
            headers,
            body,
            trailers,
            timeout,
            plugin: host.plugin_id(),
            deadline: (!timeout.is_zero()).then(|| host.time + timeout),
        });
        self.write_u32(call, id)
    }
}
