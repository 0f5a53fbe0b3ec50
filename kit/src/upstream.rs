//! A service behind a proxy, in this process.

use std::error::Error;
use std::net::SocketAddr;
use std::thread;

use anyhow::{Context, Result};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Starts a service that speaks HTTP/1.1 on a free port of 127.0.0.1. It serves until this process
/// ends.
///
/// # Errors
///
/// When it cannot listen.
pub fn start<A, F, B, E>(answer: A) -> Result<SocketAddr>
where
    A: Fn(Request<Incoming>) -> F + Copy + Send + 'static,
    F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot start the upstream")?;
    let listener = runtime
        .block_on(TcpListener::bind("127.0.0.1:0"))
        .context("the upstream finds no free port on 127.0.0.1")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        runtime.block_on(async {
            while let Ok((connection, _)) = listener.accept().await {
                let serving = http1::Builder::new()
                    .serve_connection(TokioIo::new(connection), service_fn(answer));
                // A connection that breaks is the client's to report.
                tokio::spawn(async { drop(serving.await) });
            }
        });
    });
    Ok(address)
}
