//! A service for Envoy's filter `ext_proc`, which appends headers to every response.
//!
//! It speaks gRPC over HTTP/2, and encodes the only message that it sends by hand.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread;

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::server::{self, SendResponse};
use http::{HeaderMap, HeaderValue, Response};

/// A message of gRPC begins with a byte for compression, and four for its length.
const PREFIX: usize = 5;

/// Starts a service that appends these headers, on a free port of 127.0.0.1. It serves until the
/// process ends.
///
/// # Errors
///
/// If there is no free port.
pub fn start(headers: &[(String, String)]) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let message = grpc_message(&processing_response(headers))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    thread::spawn(move || {
        runtime.block_on(async {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
                return;
            };
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, message.clone()));
            }
        });
    });
    Ok(address)
}

/// Serves the streams of a connection. If a client cancels a stream, the error is ignored.
async fn serve(socket: tokio::net::TcpStream, message: Bytes) {
    let Ok(mut connection) = server::handshake(socket).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(respond_to_each(
            request.into_body(),
            respond,
            message.clone(),
        ));
    }
}

/// Envoy opens a stream for each request, and sends one message on it: the response's headers.
async fn respond_to_each(
    mut body: h2::RecvStream,
    mut respond: SendResponse<Bytes>,
    message: Bytes,
) -> Option<()> {
    let mut response = Response::new(());
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", grpc);
    let mut stream = respond.send_response(response, false).ok()?;
    let mut received = Vec::new();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).ok()?;
        received.extend_from_slice(&data);
        while let Some(length) = message_length(&received) {
            received.drain(..length);
            stream.send_data(message.clone(), false).ok()?;
        }
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers).ok()
}

/// The length of the first message with its prefix, if all of it is there.
fn message_length(received: &[u8]) -> Option<usize> {
    let length = received.get(1..PREFIX)?.try_into().ok()?;
    let length = PREFIX + u32::from_be_bytes(length) as usize;
    (received.len() >= length).then_some(length)
}

fn grpc_message(message: &[u8]) -> Result<Bytes> {
    let length = u32::try_from(message.len()).context("too many headers")?;
    Ok([&[0][..], &length.to_be_bytes(), message].concat().into())
}

/// A `ProcessingResponse` (`envoy.service.ext_proc.v3`) for the response's headers.
fn processing_response(headers: &[(String, String)]) -> Vec<u8> {
    let mut mutation = Vec::new();
    for (name, value) in headers {
        // HeaderValue: key, raw_value; HeaderValueOption: header, which is appended.
        let header = [field(1, name.as_bytes()), field(3, value.as_bytes())].concat();
        mutation.extend(field(1, &field(1, &header)));
    }
    // CommonResponse.header_mutation, HeadersResponse.response, ProcessingResponse.response_headers
    field(2, &field(1, &field(2, &mutation)))
}

/// A field of bytes in protobuf's encoding.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut encoded = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        encoded.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    encoded.push(length as u8);
    encoded.extend(bytes);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_complete_with_its_prefix() {
        assert_eq!(message_length(&[0, 0, 0, 0]), None);
        assert_eq!(message_length(&[0, 0, 0, 0, 1]), None);
        assert_eq!(message_length(&[0, 0, 0, 0, 1, 9, 0]), Some(6));
    }

    #[test]
    fn long_field_has_a_length_of_two_bytes() {
        let encoded = field(2, &[0; 300]);
        assert_eq!(encoded.get(..3), Some(&[0x12, 0xac, 0x02][..]));
        assert_eq!(encoded.len(), 303);
    }
}
