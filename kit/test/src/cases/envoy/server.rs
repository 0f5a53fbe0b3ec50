//! The upstream and the services of a case.

use std::io::{self, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use super::barrier::Barrier;
use crate::http1::{read_request, write_beginning, write_reply_with};
use crate::message::{Message, Reply};

/// A request that a service has received. It waits for an [`ServiceAction`].
#[derive(Debug)]
pub struct ReceivedRequest {
    pub cluster: String,
    pub message: Message,
    /// If it is dropped, the connection is closed.
    pub action: Sender<ServiceAction>,
}

/// What a service does with a request.
#[derive(Debug)]
pub enum ServiceAction {
    /// Responds after a delay.
    Reply(Duration, Reply),
    /// Closes the connection after a delay, and after this beginning of a response.
    Reset(Duration, Option<Reply>),
}

/// Starts a service for a cluster. It serves as long as `on_request` returns true.
pub fn start(
    cluster: &str,
    barrier: Barrier,
    on_request: impl Fn(ReceivedRequest) -> bool + Clone + Send + 'static,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let cluster = cluster.to_owned();
    thread::Builder::new().spawn(move || {
        for connection in listener.incoming() {
            let Ok(connection) = connection else { return };
            let (cluster, on_request) = (cluster.clone(), on_request.clone());
            let serving = thread::Builder::new().spawn(move || {
                // If the connection fails, its client reports it.
                let _ = serve(&connection, &cluster, barrier, &on_request);
            });
            if serving.is_err() {
                return;
            }
        }
    })?;
    Ok(address)
}

fn serve(
    mut connection: &TcpStream,
    cluster: &str,
    barrier: Barrier,
    on_request: &impl Fn(ReceivedRequest) -> bool,
) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut input = BufReader::new(connection);
    while let Some(request) = read_request(&mut input, &mut connection)? {
        let (action, actions) = mpsc::channel();
        let received = ReceivedRequest {
            cluster: cluster.to_owned(),
            message: request.message.clone(),
            action,
        };
        if !on_request(received) {
            return Ok(());
        }
        match actions.recv() {
            Ok(ServiceAction::Reply(delay, reply)) => {
                thread::sleep(delay);
                if !write_reply_with(&mut connection, &request, &reply, || barrier.wait())? {
                    return Ok(());
                }
            }
            Ok(ServiceAction::Reset(delay, beginning)) => {
                thread::sleep(delay);
                if let Some(reply) = beginning {
                    write_beginning(&mut connection, &reply)?;
                    barrier.wait()?;
                }
                return Ok(());
            }
            Err(mpsc::RecvError) => return Ok(()),
        }
    }
    Ok(())
}
