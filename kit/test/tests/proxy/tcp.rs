//! TCP connections (ABI: "TCP streams").

use proxy_wasm_test::{Connection, End, Error, Options};

use crate::wat::{Wat, said};

/// What an end of a connection has received, and whether more can come.
fn text(received: &proxy_wasm_test::Received) -> (String, End) {
    let text = String::from_utf8_lossy(&received.data).into_owned();
    (text, received.end)
}

fn upstream(connection: &Connection) -> (String, End) {
    text(&connection.upstream())
}

fn downstream(connection: &Connection) -> (String, End) {
    text(&connection.downstream())
}

fn open(text: &str) -> (String, End) {
    (text.to_owned(), End::Open)
}

fn ended(text: &str) -> (String, End) {
    (text.to_owned(), End::Ended)
}

fn reset(text: &str) -> (String, End) {
    (text.to_owned(), End::Reset)
}

/// Logs each callback of a connection.
fn traced() -> Wat {
    [
        "new_connection",
        "downstream_data",
        "upstream_data",
        "downstream_connection_close",
        "upstream_connection_close",
        "log",
    ]
    .into_iter()
    .fold(Wat::new(), |wat, name| {
        wat.on(
            &format!("proxy_on_{name}"),
            &format!("(call $say @\"{name}\")"),
        )
    })
}

#[test]
fn bytes_pass_in_both_directions() -> Result<(), Error> {
    let proxy = traced().load()?;
    let connection = proxy.connect()?;
    assert!(connection.has_upstream());
    connection.send("one")?;
    connection.send_from_upstream("two")?;
    connection.send("three")?;
    assert_eq!(upstream(&connection), open("onethree"));
    assert_eq!(downstream(&connection), open("two"));
    connection.end()?;
    assert_eq!(upstream(&connection), ended("onethree"));
    assert!(!connection.is_closed());
    connection.end_from_upstream()?;
    assert!(connection.is_closed());
    assert_eq!(downstream(&connection), ended("two"));
    let expected = [
        "new_connection",
        "downstream_data",
        "upstream_data",
        "downstream_data",
        "downstream_data",
        "upstream_data",
        "upstream_connection_close",
        "downstream_connection_close",
        "log",
    ];
    assert_eq!(said(&proxy), expected);
    assert!(connection.fuel() > 0);
    assert!(
        connection
            .host_calls()
            .iter()
            .all(|call| call.name == "proxy_log")
    );
    Ok(())
}

#[test]
fn held_bytes_are_shown_again_with_the_next() -> Result<(), Error> {
    let wat = Wat::new().on(
        "proxy_on_downstream_data",
        "(call $number (local.get $data_size))
         (return (i32.lt_u (local.get $data_size) #6))",
    );
    let proxy = wat.load()?;
    let connection = proxy.connect()?;
    connection.send("one")?;
    assert_eq!(upstream(&connection), open(""));
    connection.send("two")?;
    assert_eq!(upstream(&connection), open("onetwo"));
    assert_eq!(said(&proxy), ["3", "6"]);
    Ok(())
}

#[test]
fn bytes_of_both_directions_can_be_changed() -> Result<(), Error> {
    let change = |buffer: u32| {
        format!("(drop (call $proxy_set_buffer_bytes #{buffer} #0 #100 @\"changed\"))")
    };
    let proxy = Wat::new()
        .on("proxy_on_downstream_data", &change(2))
        .on("proxy_on_upstream_data", &change(3))
        .load()?;
    let connection = proxy.connect()?;
    connection.send("one")?;
    connection.send_from_upstream("two")?;
    assert_eq!(upstream(&connection), open("changed"));
    assert_eq!(downstream(&connection), open("changed"));
    Ok(())
}

/// Holds the new connection until its timer.
fn holding() -> Wat {
    Wat::new()
        .on("proxy_on_new_connection", "(return #1)")
        .on(
            "proxy_on_downstream_data",
            "(call $number (local.get $data_size)) (call $number (local.get $end_of_stream))",
        )
        .on(
            "proxy_on_tick",
            "(drop (call $proxy_set_effective_context #2))
             (call $number (call $proxy_continue_stream #2))",
        )
}

#[test]
fn nothing_is_read_while_a_new_connection_is_held() -> Result<(), Error> {
    let proxy = holding().load()?;
    let connection = proxy.connect()?;
    assert!(!connection.has_upstream());
    connection.send("one")?;
    connection.send("two")?;
    connection.end()?;
    assert_eq!(said(&proxy), [""; 0]);
    assert!(matches!(
        connection.send_from_upstream("x"),
        Err(Error::InvalidState(_))
    ));
    proxy.tick()?;
    assert!(connection.has_upstream());
    assert_eq!(upstream(&connection), ended("onetwo"));
    assert_eq!(said(&proxy), ["0", "6", "1"]);
    Ok(())
}

#[test]
fn reset_is_not_noticed_while_a_new_connection_is_held() -> Result<(), Error> {
    let proxy = holding().load()?;
    let connection = proxy.connect()?;
    connection.reset()?;
    assert!(!connection.is_closed());
    proxy.tick()?;
    assert!(connection.is_closed());
    Ok(())
}

#[test]
fn nothing_is_read_while_more_than_the_limit_is_held() -> Result<(), Error> {
    let wat = Wat::new()
        .on(
            "proxy_on_downstream_data",
            "(call $number (local.get $data_size)) (return #1)",
        )
        .on(
            "proxy_on_tick",
            "(drop (call $proxy_set_effective_context #2))
             (drop (call $proxy_continue_stream #2))",
        );
    let proxy = wat.load_with(Options::new().buffer_limit(5))?;
    let connection = proxy.connect()?;
    for chunk in ["12345", "6", "78", "9"] {
        connection.send(chunk)?;
    }
    assert_eq!(said(&proxy), ["5", "6"]);
    proxy.tick()?;
    assert_eq!(said(&proxy), ["5", "6", "3"]);
    assert_eq!(upstream(&connection), open("123456"));
    Ok(())
}

#[test]
fn extension_closes_a_connection() -> Result<(), Error> {
    for stream in [2, 3] {
        let proxy = Wat::new()
            .on(
                "proxy_on_downstream_data",
                &format!("(call $number (call $proxy_close_stream #{stream}))"),
            )
            .on(
                "proxy_on_downstream_connection_close",
                "(call $number (local.get $peer_type))",
            )
            .load()?;
        let connection = proxy.connect()?;
        connection.send("one")?;
        assert!(connection.is_closed());
        assert_eq!(upstream(&connection), ended(""));
        assert_eq!(downstream(&connection), ended(""));
        // The status of the host call, and the peer type: the proxy has closed the connection.
        assert_eq!(said(&proxy), ["0", "1"]);
        assert!(matches!(
            connection.send("two"),
            Err(Error::InvalidState(_))
        ));
    }
    Ok(())
}

#[test]
fn reset_of_one_end_resets_the_other() -> Result<(), Error> {
    let proxy = traced().load()?;
    let connection = proxy.connect()?;
    connection.reset()?;
    assert_eq!(upstream(&connection), reset(""));
    assert_eq!(downstream(&connection), open(""));
    let connection = proxy.connect()?;
    connection.reset_from_upstream()?;
    assert_eq!(upstream(&connection), open(""));
    assert_eq!(downstream(&connection), reset(""));
    assert!(connection.is_closed());
    Ok(())
}

#[test]
fn dropped_connection_is_closed() -> Result<(), Error> {
    for wat in [
        traced(),
        holding().on("proxy_on_log", "(call $say @\"log\")"),
    ] {
        let proxy = wat.load()?;
        drop(proxy.connect()?);
        assert!(said(&proxy).contains(&"log".to_owned()));
    }
    Ok(())
}

#[test]
fn proxy_closes_an_idle_connection() -> Result<(), Error> {
    let proxy = traced().load()?;
    let connection = proxy.connect()?;
    connection.close()?;
    assert!(connection.is_closed());
    assert_eq!(upstream(&connection), ended(""));
    Ok(())
}

#[test]
fn properties_and_filter_state_belong_to_the_connection() -> Result<(), Error> {
    let proxy = Wat::new()
        .on(
            "proxy_on_downstream_data",
            "(drop (call $proxy_get_property @\"source\0address\" @out)) (call $say @result)
             (drop (call $proxy_set_property @\"name\" @\"value\"))",
        )
        .load()?;
    let connection = proxy.connect()?;
    connection.set_property(&["source", "address"], "192.0.2.1:1");
    connection.send("one")?;
    assert_eq!(said(&proxy), ["192.0.2.1:1"]);
    let state = connection.filter_state("wasm.name");
    assert_eq!(state.as_deref(), Some(&b"value"[..]));
    Ok(())
}

#[test]
fn vm_that_has_trapped_accepts_no_connection() -> Result<(), Error> {
    let proxy = Wat::new()
        .on("proxy_on_new_connection", "unreachable")
        .load()?;
    assert!(matches!(proxy.connect(), Err(Error::Trap(_))));
    assert!(matches!(proxy.connect(), Err(Error::VmTerminated)));
    Ok(())
}

#[test]
fn extension_chooses_the_cluster() -> Result<(), Error> {
    const CLUSTER: &str =
        "(drop (call $proxy_get_property @\"xds\\0cluster_name\" @out)) (call $say @result)";
    let arguments = "\\n\u{17}envoy.tcp_proxy.cluster\u{12}\u{5}other";
    let choose = format!(
        "(drop (call $proxy_call_foreign_function @\"set_envoy_filter_state\" @\"{arguments}\" #0 #0))"
    );
    let proxy = Wat::new()
        .on(
            "proxy_on_downstream_data",
            &format!("{CLUSTER} {choose} {CLUSTER}"),
        )
        .load()?;
    let connection = proxy.connect()?;
    connection.send("one")?;
    assert_eq!(said(&proxy), ["upstream", "other"]);
    let state = connection.filter_state("envoy.tcp_proxy.cluster");
    assert_eq!(state.as_deref(), Some(&b"other"[..]));
    Ok(())
}
