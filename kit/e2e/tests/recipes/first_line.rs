use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;

use anyhow::Result;
use proxy_wasm_e2e::{recipe, recipe_path};
use proxy_wasm_test::envoy::{Configuration, Envoy};
use proxy_wasm_test::{Error, Proxy};

use crate::rejection;

const CONFIGURATION: &str = r#"{"prefix": "SSH-2.0-", "limit": 32}"#;

fn load() -> Result<Proxy, Error> {
    Proxy::load(recipe("first_line"))?.configure(CONFIGURATION)
}

#[test]
fn line_with_the_prefix_is_forwarded_with_the_rest() -> Result<(), Error> {
    let proxy = load()?;
    let connection = proxy.connect()?;
    connection.send("SSH-2.")?;
    assert_eq!(connection.upstream().data, b"");
    connection.send("0-client\r\n")?;
    connection.send("more")?;
    assert_eq!(connection.upstream().data, b"SSH-2.0-client\r\nmore");
    connection.send_from_upstream("SSH-2.0-server\r\n")?;
    assert_eq!(connection.downstream().data, b"SSH-2.0-server\r\n");
    Ok(())
}

#[test]
fn line_without_the_prefix_closes_the_connection() -> Result<(), Error> {
    for line in [
        "GET / HTTP/1.1\r\n",
        "SSH-1.99-old\n",
        "\n",
        &"x".repeat(32),
    ] {
        let proxy = load()?;
        let connection = proxy.connect()?;
        connection.send(line)?;
        assert!(connection.is_closed(), "{line}");
        assert_eq!(connection.upstream().data, b"", "{line}");
        assert!(proxy.log()[0].message.starts_with("rejected: "));
    }
    Ok(())
}

#[test]
fn line_without_an_end_is_checked_when_the_client_closes() -> Result<(), Error> {
    for (line, is_accepted) in [("SSH-2.0-", true), ("SSH", false), ("", false)] {
        let proxy = load()?;
        let connection = proxy.connect()?;
        connection.send(line)?;
        connection.end()?;
        assert_eq!(connection.is_closed(), !is_accepted, "{line:?}");
    }
    Ok(())
}

#[test]
fn incomplete_configuration_is_rejected() {
    let rejection = rejection("first_line", r#"{"prefix": "a"}"#);
    assert!(rejection.contains("missing field `limit`"), "{rejection}");
}

/// Sends bytes through Envoy to an echo service, and returns what the client receives.
fn echoed(envoy: &Envoy, bytes: &str) -> Result<String> {
    let mut connection = TcpStream::connect(envoy.address_of("tcp")?)?;
    connection.write_all(bytes.as_bytes())?;
    connection.shutdown(Shutdown::Write)?;
    let mut received = String::new();
    connection.read_to_string(&mut received)?;
    Ok(received)
}

#[test]
fn connection_is_closed_by_its_first_line_in_envoy() -> Result<()> {
    let service = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = service.local_addr()?;
    thread::spawn(move || {
        for connection in service.incoming().flatten() {
            // A failed connection is an error of the client.
            let _ = std::io::copy(&mut &connection, &mut &connection);
        }
    });
    let configuration = Configuration::Text(CONFIGURATION.to_owned());
    let envoy = Envoy::builder(&recipe_path("first_line"), address)
        .tcp_listener("tcp", "extension", &configuration)
        .start()?;
    assert_eq!(
        echoed(&envoy, "SSH-2.0-client\r\nmore")?,
        "SSH-2.0-client\r\nmore"
    );
    assert_eq!(echoed(&envoy, "GET / HTTP/1.1\r\n")?, "");
    envoy.log_until("rejected: GET / HTTP/1.1\\r")?;
    Ok(())
}
