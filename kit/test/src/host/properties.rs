//! Properties (ABI: "Properties"). The documentation's module `properties` lists them.

use std::borrow::Cow;
use std::time::Duration;

use proxy_wasm_abi::{MapType, Status};

use super::Host;
use crate::context::StreamContext;
use crate::header_map;
use crate::headers::Headers;
use crate::local_response;
use crate::maps;
use crate::tcp::UpstreamState;

/// The response flag `DownstreamConnectionTermination`.
const DOWNSTREAM_DISCONNECT: i64 = 0x4000;
/// What Envoy generates for a request without `x-request-id`.
const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";
/// The key of the filter state that chooses the cluster of a TCP connection.
const TCP_CLUSTER: &[u8] = b"envoy.tcp_proxy.cluster";
/// A map without entries, as the value of a property.
const EMPTY_MAP: [u8; 4] = [0; 4];

/// A property's value, which is `None` if it exists only when a test sets it.
///
/// # Errors
///
/// `NOT_FOUND` if it does not exist now, `SERIALIZATION_FAILURE` if it cannot be returned.
type PropertyResult = Result<Option<Vec<u8>>, Status>;

impl Host {
    /// The value of a property of the current context (ABI: `proxy_get_property`).
    pub(crate) fn property(&mut self, path: &[u8]) -> Result<Vec<u8>, Status> {
        if path.is_empty() {
            return Err(Status::SerializationFailure);
        }
        let path = path.strip_suffix(b"\0").unwrap_or(path);
        let parts: Vec<_> = path.split(|byte| *byte == 0).collect();
        if let Some(value) = self.own_state(&parts) {
            return Ok(value);
        }
        match self.envoy_property(&parts) {
            Err(Status::NotFound) => Err(Status::NotFound),
            default => match self.set_by_test(path) {
                Some(value) => Ok(value),
                None => default?.ok_or(Status::NotFound),
            },
        }
    }

    /// The value that the extension has set with `proxy_set_property` or `set_envoy_filter_state`.
    fn own_state(&mut self, parts: &[&[u8]]) -> Option<Vec<u8>> {
        let state = &self.stream()?.filter_state;
        let value = match parts {
            [b"filter_state", key] => state.get(key),
            [name] if !is_name_of_envoy(name) => state.property(name),
            _ => None,
        };
        value.map(<[u8]>::to_vec)
    }

    /// The value that a test has set, for the stream or for the plugin.
    fn set_by_test(&mut self, path: &[u8]) -> Option<Vec<u8>> {
        let of_stream = self
            .stream()
            .and_then(|stream| stream.properties.get(path).cloned());
        of_stream.or_else(|| self.plugin()?.properties.get(path).cloned())
    }

    /// The property of Envoy.
    fn envoy_property(&mut self, parts: &[&[u8]]) -> PropertyResult {
        let (name, path) = parts.split_first().ok_or(Status::NotFound)?;
        match (*name, path) {
            (b"plugin_name", []) => text(&self.options.plugin_name),
            (b"plugin_root_id", []) => text(&self.options.root_id),
            (b"plugin_vm_id", []) => text(&self.options.vm_id),
            (b"xds", []) => unreadable(),
            (b"xds", [b"node", path @ ..]) => node(path),
            // All other properties, and the values that filters have set, exist only for streams.
            _ if self.stream().is_none() => Err(Status::NotFound),
            _ if !is_name_of_envoy(name) => Ok(None),
            (b"request", path) => self.request_property(path),
            (b"response", path) => self.response_property(path),
            (b"upstream", path) => self.upstream_property(path),
            (b"xds", path) => self.xds_property(path),
            (b"source" | b"destination", [b"port"]) => self.port(name),
            (b"source", [b"address"]) => text("127.0.0.1:50000"),
            (b"destination", [b"address"]) => text("127.0.0.1:10000"),
            (b"connection", [b"id"]) | (b"connection_id", []) => number(self.context()),
            (b"connection", [b"mtls"]) => Ok(Some(vec![0])),
            (b"connection", [b"requested_server_name"]) => text(""),
            (b"metadata", path) => metadata(path),
            (b"upstream_filter_state", _) if !self.is_forwarded() => Err(Status::NotFound),
            (_, []) => unreadable(),
            _ => Ok(None),
        }
    }

    fn request_property(&mut self, path: &[&[u8]]) -> PropertyResult {
        const MAP: MapType = MapType::RequestHeaders;
        match path {
            [] => unreadable(),
            [b"path"] => self.header(MAP, ":path"),
            [b"url_path"] => {
                let path = self.path()?;
                let end = path.iter().position(|byte| *byte == b'?');
                text(&path[..end.unwrap_or(path.len())])
            }
            [b"query"] => {
                let path = self.path()?;
                let query = path.splitn(2, |byte| *byte == b'?').nth(1);
                let mut parts = query.unwrap_or_default().split(|byte| *byte == b'#');
                text(parts.next().unwrap_or_default())
            }
            [b"host"] => self.header(MAP, ":authority"),
            [b"scheme"] => self.header(MAP, ":scheme"),
            [b"method"] => self.header(MAP, ":method"),
            [b"referer"] => self.header(MAP, "referer"),
            [b"useragent"] => self.header(MAP, "user-agent"),
            [b"id"] => match self.header(MAP, "x-request-id")? {
                None => text(REQUEST_ID),
                id => Ok(id),
            },
            [b"headers"] => self.fields(MAP),
            [b"headers", name] => self.field(MAP, name),
            [b"time"] => nanoseconds(self.of_stream()?.started),
            [b"protocol"] if self.is_tcp() => Err(Status::NotFound),
            [b"protocol"] => text("HTTP/1.1"),
            [b"size"] => {
                let declared = self.map(MAP).and_then(|map| map.first("content-length"));
                match declared.map(parse_number) {
                    Some(size) => number::<i64>(size.ok_or(Status::NotFound)?),
                    None => number(self.of_stream()?.received_size()),
                }
            }
            [b"total_size"] => {
                let headers = self.map(MAP).map_or(0, header_map::size);
                number(headers + self.of_stream()?.received_size())
            }
            [b"duration"] if self.is_tcp() => Err(Status::NotFound),
            [b"duration"] => {
                let stream = self.of_stream()?;
                let ended = stream.ended.ok_or(Status::NotFound)?;
                nanoseconds(ended.saturating_sub(stream.started))
            }
            _ => Ok(None),
        }
    }

    fn response_property(&mut self, path: &[&[u8]]) -> PropertyResult {
        const MAP: MapType = MapType::ResponseHeaders;
        const TRAILERS: MapType = MapType::ResponseTrailers;
        match path {
            [] => unreadable(),
            [b"code"] => number(self.of_stream()?.response_code().ok_or(Status::NotFound)?),
            [b"code_details"] => {
                let details = self.of_stream()?.response_code_details();
                text(details.ok_or(Status::NotFound)?)
            }
            [b"flags"] => number(if self.of_stream()?.is_disconnected() {
                DOWNSTREAM_DISCONNECT
            } else {
                0
            }),
            [b"grpc_status"] => number(self.grpc_status().ok_or(Status::NotFound)?),
            [b"headers"] => self.fields(MAP),
            [b"headers", name] => self.field(MAP, name),
            [b"trailers"] => self.fields(TRAILERS),
            [b"trailers", name] => self.field(TRAILERS, name),
            [b"size"] => number(self.of_stream()?.sent_size()),
            [b"total_size"] => {
                let [headers, trailers] =
                    [MAP, TRAILERS].map(|map| self.map(map).map_or(0, header_map::size));
                let body = self.of_stream()?.sent_size();
                number(headers + body + trailers)
            }
            [b"backend_latency"] => {
                let now = self.time;
                let stream = self.of_stream()?;
                if !stream.response.end_of_stream || stream.is_local {
                    return Err(Status::NotFound);
                }
                let end = stream.ended.unwrap_or(now);
                nanoseconds(end.saturating_sub(stream.started))
            }
            _ => Ok(None),
        }
    }

    fn upstream_property(&mut self, path: &[&[u8]]) -> PropertyResult {
        match path {
            [] => return unreadable(),
            // For HTTP, the cluster is known before the request is forwarded. For TCP, it is not.
            [b"num_endpoints"] if self.is_tcp() && !self.is_forwarded() => {
                return Err(Status::NotFound);
            }
            [b"num_endpoints"] => return number(1),
            [b"request_attempt_count"] => return number(i64::from(self.is_forwarded())),
            [b"transport_failure_reason"] if self.is_tcp() => return text(""),
            _ if !self.is_forwarded() => return Err(Status::NotFound),
            _ => {}
        }
        match path {
            [b"address"] => text("127.0.0.1:8080"),
            [b"port"] => self.port(b"upstream"),
            [b"locality", path @ ..] => locality(path),
            [b"transport_failure_reason"] => text(""),
            [b"local_address"] => text("127.0.0.1:50001"),
            [b"cx_pool_ready_duration"] => number(0),
            _ => Ok(None),
        }
    }

    fn xds_property(&mut self, path: &[&[u8]]) -> PropertyResult {
        let (name, path) = path.split_first().ok_or(Status::NotFound)?;
        match (*name, path) {
            // TCP has no routes, and its cluster is chosen later.
            (
                b"route_name" | b"route_metadata" | b"virtual_host_name" | b"virtual_host_metadata",
                _,
            ) if self.is_tcp() => Err(Status::NotFound),
            (b"cluster_name" | b"cluster_metadata", _) if self.is_tcp() && !self.is_forwarded() => {
                Err(Status::NotFound)
            }
            (b"cluster_name", []) if self.is_tcp() => {
                let state = &self.of_stream()?.filter_state;
                text(state.get(TCP_CLUSTER).unwrap_or(b"upstream"))
            }
            (b"cluster_name", []) => text("upstream"),
            (b"virtual_host_name", []) => text("all"),
            (b"route_name" | b"filter_chain_name", []) => text(""),
            (b"listener_direction", []) => number(0),
            (
                b"cluster_metadata"
                | b"route_metadata"
                | b"virtual_host_metadata"
                | b"listener_metadata",
                path,
            ) => metadata(path),
            (b"upstream_host_metadata" | b"upstream_host_locality_metadata", path) => {
                if !self.is_forwarded() {
                    Err(Status::NotFound)
                } else if path.is_empty() {
                    // As in Envoy, for a host without metadata and locality.
                    unreadable()
                } else {
                    Ok(None)
                }
            }
            _ => Ok(None),
        }
    }

    /// The port of an address, which a test may have set.
    fn port(&mut self, peer: &[u8]) -> PropertyResult {
        let address = self.property(&[peer, b"\0address"].concat())?;
        let port = address.rsplit(|byte| *byte == b':').next();
        Ok(port
            .and_then(parse_number)
            .and_then(|port| number::<i64>(port).ok()?))
    }

    /// As [`Host::stream`]. `NOT_FOUND` if there is none.
    fn of_stream(&mut self) -> Result<&mut StreamContext, Status> {
        self.stream().ok_or(Status::NotFound)
    }

    fn is_tcp(&mut self) -> bool {
        self.stream().is_some_and(|stream| stream.tcp.is_some())
    }

    /// Whether the router, or the TCP proxy, has chosen the upstream's host.
    fn is_forwarded(&mut self) -> bool {
        let stream = self.stream();
        stream.is_some_and(|stream| match &stream.tcp {
            Some(tcp) => tcp.upstream == UpstreamState::Connected,
            None => stream.request.forwarded_headers.is_some(),
        })
    }

    /// The path of the request, with the query.
    fn path(&mut self) -> Result<Vec<u8>, Status> {
        let headers = self.map(MapType::RequestHeaders).ok_or(Status::NotFound)?;
        Ok(headers.first(":path").unwrap_or_default().to_vec())
    }

    /// The value of a header that Envoy knows.
    fn header(&mut self, map: MapType, name: &str) -> PropertyResult {
        let headers = self.map(map).ok_or(Status::NotFound)?;
        Ok(headers.first(name).map(<[u8]>::to_vec))
    }

    /// The values of a field, joined by commas.
    fn field(&mut self, map: MapType, name: &[u8]) -> PropertyResult {
        let fields = self.map(map).ok_or(Status::NotFound)?;
        Ok(joined(fields, &name.to_ascii_lowercase()))
    }

    /// A map, with one field for each name.
    fn fields(&mut self, map: MapType) -> PropertyResult {
        let Some(fields) = self.map(map).filter(|fields| !fields.is_empty()) else {
            return Ok(Some(EMPTY_MAP.to_vec()));
        };
        let mut unique = Headers::default();
        for (name, _) in fields.bytes() {
            if unique.first(name).is_none() {
                unique.append(name, joined(fields, name).unwrap_or_default());
            }
        }
        Ok(Some(maps::serialize(&unique)))
    }

    /// The gRPC status of the response: that of its trailers, of its headers, or the one to which its
    /// code maps.
    fn grpc_status(&mut self) -> Option<i64> {
        for map in [MapType::ResponseTrailers, MapType::ResponseHeaders] {
            let status = self.map(map).and_then(|fields| fields.first("grpc-status"));
            if let Some(status) = status.filter(|status| !status.is_empty()) {
                let known = parse_number(status).filter(|status: &i64| (0..=16).contains(status));
                return Some(known.unwrap_or(-1));
            }
        }
        let code = self.stream()?.response_code()?;
        Some(local_response::grpc_status(code).into())
    }
}

impl StreamContext {
    /// How many bytes of the body, or of the connection, have arrived from the client.
    fn received_size(&self) -> usize {
        match &self.tcp {
            Some(tcp) => tcp.from_downstream.arrived,
            None => self.request.received,
        }
    }

    /// How many bytes of the body, or of the connection, have been sent to the client.
    fn sent_size(&self) -> usize {
        match &self.tcp {
            Some(tcp) => tcp.from_upstream.received.data.len(),
            None => self.response.forwarded_body.len(),
        }
    }

    /// The code of the response: that of the upstream until the headers are forwarded.
    fn response_code(&self) -> Option<u64> {
        let forwarded = self.response.forwarded_headers.as_ref();
        forwarded.map_or(self.response_code, Headers::status)
    }

    /// Who has sent the response, or why there is none.
    fn response_code_details(&self) -> Option<Cow<'_, [u8]>> {
        if self.is_disconnected() {
            return Some(Cow::Borrowed(b"downstream_remote_disconnect"));
        }
        if let Some(details) = &self.response_details {
            return Some(Cow::Borrowed(details));
        }
        let details: &[u8] = match self.response_code {
            Some(_) => b"via_upstream",
            None if self.is_closed => b"wasm_close_stream",
            None => return None,
        };
        Some(Cow::Borrowed(details))
    }

    /// Whether the client has disconnected before the response was complete.
    fn is_disconnected(&self) -> bool {
        self.tcp.is_none()
            && self.ended.is_some()
            && !self.response.forwarded_all
            && !self.is_closed
    }
}

/// The first parts of the properties of Envoy.
fn is_name_of_envoy(name: &[u8]) -> bool {
    matches!(
        name,
        b"request"
            | b"response"
            | b"source"
            | b"destination"
            | b"connection"
            | b"connection_id"
            | b"upstream"
            | b"metadata"
            | b"filter_state"
            | b"upstream_filter_state"
            | b"xds"
            | b"plugin_name"
            | b"plugin_root_id"
            | b"plugin_vm_id"
    )
}

/// A message `envoy.config.core.v3.Node`.
fn node(path: &[&[u8]]) -> PropertyResult {
    match path {
        // With `id` and `cluster`.
        [] => text("\n\x04test\x12\x04test"),
        [b"id" | b"cluster"] => text("test"),
        [b"user_agent_name"] => text("envoy"),
        [b"metadata"] => Ok(Some(EMPTY_MAP.to_vec())),
        [b"locality", path @ ..] => locality(path),
        _ => Ok(None),
    }
}

/// A message `envoy.config.core.v3.Locality` without values.
fn locality(path: &[&[u8]]) -> PropertyResult {
    match path {
        [] | [b"region" | b"zone" | b"sub_zone"] => text(""),
        _ => Ok(None),
    }
}

/// A message `envoy.config.core.v3.Metadata` without values.
fn metadata(path: &[&[u8]]) -> PropertyResult {
    match path {
        [] => text(""),
        [b"filter_metadata" | b"typed_filter_metadata"] => Ok(Some(EMPTY_MAP.to_vec())),
        _ => Ok(None),
    }
}

fn text(text: impl AsRef<[u8]>) -> PropertyResult {
    Ok(Some(text.as_ref().to_vec()))
}

/// A number, which Envoy encodes in 64 bits.
fn number<Number: TryInto<i64>>(number: Number) -> PropertyResult {
    let number = number.try_into().map_err(|_| Status::InternalFailure)?;
    Ok(Some(number.to_le_bytes().to_vec()))
}

fn nanoseconds(duration: Duration) -> PropertyResult {
    number(duration.as_nanos())
}

/// A map whose keys Envoy cannot list, or a message that does not exist.
fn unreadable() -> PropertyResult {
    Err(Status::SerializationFailure)
}

fn parse_number<Number: std::str::FromStr>(text: &[u8]) -> Option<Number> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The values of a field, joined by commas. `None` if there is none.
fn joined(fields: &Headers, name: &[u8]) -> Option<Vec<u8>> {
    let mut values = fields
        .bytes()
        .filter(|(other, _)| *other == name)
        .map(|(_, value)| value);
    let mut joined = values.next()?.to_vec();
    for value in values {
        joined.push(b',');
        joined.extend_from_slice(value);
    }
    Some(joined)
}
