//! Responses that the extension, or Envoy itself, sends instead of the upstream.

use crate::header_map::{MapKind, set_in_place};
use crate::headers::Headers;

/// A local response that is not yet written for a certain request.
#[derive(Debug, Default)]
pub(crate) struct LocalResponse {
    pub(crate) status: u16,
    pub(crate) details: Vec<u8>,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) grpc_status: Option<u32>,
}

impl LocalResponse {
    /// A response of Envoy itself.
    pub(crate) fn of_envoy(status: u16, body: impl Into<Vec<u8>>, details: &str) -> Self {
        Self {
            status,
            details: details.as_bytes().to_vec(),
            body: body.into(),
            ..Self::default()
        }
    }

    /// The headers and the body with which Envoy responds to a request.
    pub(crate) fn write(self, is_grpc: bool, is_head: bool) -> (Headers, Vec<u8>) {
        let mut headers = Headers::default();
        let status = self.status.to_string();
        headers.append(":status", &status);
        for (name, value) in self.headers.into_fields() {
            MapKind::Response.add(&mut headers, &name, value);
        }
        set_in_place(&mut headers, ":status", status);
        if is_grpc {
            set_in_place(&mut headers, ":status", "200");
            set_in_place(&mut headers, "content-type", "application/grpc");
            if headers.first("grpc-status").is_none_or(<[u8]>::is_empty) {
                let status = self.grpc_status.unwrap_or(grpc_status(self.status.into()));
                set_in_place(&mut headers, "grpc-status", status.to_string());
            }
            if !self.body.is_empty() && !is_head {
                set_in_place(&mut headers, "grpc-message", percent_encode(&self.body));
            }
            headers.remove("content-length");
            return (headers, Vec::new());
        }
        if self.body.is_empty() {
            headers.remove("content-length");
            headers.remove("content-type");
            return (headers, Vec::new());
        }
        set_in_place(&mut headers, "content-length", self.body.len().to_string());
        if headers.first("content-type").is_none() {
            headers.append("content-type", "text/plain");
        }
        let body = if is_head { Vec::new() } else { self.body };
        (headers, body)
    }
}

/// Whether a request is one of gRPC.
pub(crate) fn is_grpc(headers: &Headers) -> bool {
    let content_type = headers.first("content-type").unwrap_or_default();
    let subtype = content_type.strip_prefix(b"application/grpc");
    subtype.is_some_and(|subtype| subtype.is_empty() || subtype.starts_with(b"+"))
}

/// The gRPC status of an HTTP status (gRPC: "HTTP to gRPC Status Code Mapping").
pub(crate) fn grpc_status(status: u64) -> u32 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502 | 503 | 504 => 14,
        _ => 2,
    }
}

/// Encodes a message for the header `grpc-message` (gRPC over HTTP/2: "Percent-Encoded").
fn percent_encode(message: &[u8]) -> String {
    let mut encoded = String::with_capacity(message.len());
    for byte in message {
        match byte {
            b' '..=b'~' if *byte != b'%' => encoded.push(char::from(*byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply() -> LocalResponse {
        LocalResponse {
            headers: Headers::from_iter([("x", "1"), ("content-length", "9"), ("vary", "a")]),
            ..LocalResponse::of_envoy(403, "den\nied % \u{fc}", "details")
        }
    }

    fn fields(headers: &Headers) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        headers
            .bytes()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    fn expect(headers: &Headers, expected: &[(&str, &str)]) {
        let expected: Vec<_> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(fields(headers), expected);
    }

    #[test]
    fn a_reply_has_the_length_and_the_type_of_its_body() {
        let (headers, body) = reply().write(false, false);
        expect(
            &headers,
            &[
                (":status", "403"),
                ("x", "1"),
                ("content-length", "12"),
                ("vary", "a"),
                ("content-type", "text/plain"),
            ],
        );
        assert_eq!(body, "den\nied % \u{fc}".as_bytes());
    }

    #[test]
    fn a_reply_without_a_body_has_neither_length_nor_type() {
        let headers = Headers::from_iter([("content-length", "9"), ("content-type", "a/b")]);
        let reply = LocalResponse {
            headers,
            ..LocalResponse::of_envoy(404, "", "")
        };
        let (headers, body) = reply.write(false, false);
        expect(&headers, &[(":status", "404")]);
        assert!(body.is_empty());
    }

    #[test]
    fn reply_to_a_head_request_has_no_body() {
        let (headers, body) = reply().write(false, true);
        assert_eq!(headers.values("content-length"), ["12"]);
        assert!(body.is_empty());
    }

    #[test]
    fn reply_to_a_grpc_request_has_a_status_and_a_message() {
        let (headers, body) = reply().write(true, false);
        expect(
            &headers,
            &[
                (":status", "200"),
                ("x", "1"),
                ("vary", "a"),
                ("content-type", "application/grpc"),
                ("grpc-status", "7"),
                ("grpc-message", "den%0Aied %25 %C3%BC"),
            ],
        );
        assert!(body.is_empty());
        let chosen = LocalResponse {
            grpc_status: Some(16),
            ..reply()
        };
        let (headers, _) = chosen.write(true, true);
        assert_eq!(headers.values("grpc-status"), ["16"]);
        assert!(headers.values("grpc-message").is_empty());
    }

    #[test]
    fn grpc_request_is_recognized_by_its_content_type() {
        for (content_type, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc-web", false),
            ("application/grpc;x", false),
            ("text/plain", false),
        ] {
            let headers = Headers::from_iter([("content-type", content_type)]);
            assert_eq!(is_grpc(&headers), expected, "{content_type}");
        }
        assert!(!is_grpc(&Headers::default()));
    }

    #[test]
    fn http_statuses_map_to_grpc_statuses() {
        let statuses = [200, 400, 401, 403, 404, 429, 500, 502, 503, 504].map(grpc_status);
        assert_eq!(statuses, [2, 13, 16, 7, 12, 14, 2, 14, 14, 14]);
    }
}
