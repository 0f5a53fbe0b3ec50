//! HTTP calls (ABI: "HTTP calls").

use std::time::Duration;

use proxy_wasm_abi::Status;

use super::{Call, Outcome};
use crate::records::HttpCall;

impl Call<'_> {
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
    ) -> Outcome {
        let cluster = self.read(cluster, cluster_size)?;
        let headers = self.read_map(headers, headers_size)?;
        let body = self.read(body, body_size)?;
        let trailers = self.read_map(trailers, trailers_size)?;
        self.write_u32(call, 0)?;
        let host = self.host();
        let required = [":method", ":path", ":authority"];
        if host.options.missing_clusters.contains(&cluster)
            || required.iter().any(|name| headers.first(name).is_none())
        {
            return Err(Status::BadArgument.into());
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
