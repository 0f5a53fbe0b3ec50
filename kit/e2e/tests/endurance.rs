//! Runs the template's module for a long time: its memory does not grow, and streams keep their own
//! configuration.

use fastrand::Rng;
use proxy_wasm_e2e::{extension, print_line};
use proxy_wasm_test::{Error, Proxy, Reply, Stream};

/// The number of concurrent streams.
const MAX_STREAMS: usize = 64;

#[test]
fn memory_does_not_grow_in_a_million_requests() -> Result<(), Error> {
    const REQUESTS: u32 = 1_000_000;
    let proxy = Proxy::load(extension())?.configure(r#"{"custom-header": "test"}"#)?;
    let mut random = Rng::with_seed(1);
    let mut streams: Vec<Stream> = Vec::new();
    let (mut ended, mut reset, mut pages) = (0, 0, 0);
    while ended + reset < REQUESTS {
        if streams.len() < MAX_STREAMS {
            streams.push(proxy.request("GET", "/").send()?);
            continue;
        }
        let stream = streams.swap_remove(random.usize(..MAX_STREAMS));
        match random.u8(..8) {
            0 => stream.reset()?,
            1 => {
                stream.begin_response(Reply::new(200).body("half"))?;
                stream.reset()?;
            }
            _ => {
                let response = stream.respond(200)?;
                assert_eq!(response.header("custom-header"), ["test"]);
                ended += 1;
                continue;
            }
        }
        reset += 1;
        if pages == 0 && ended + reset >= 1_000 {
            pages = proxy.memory_pages();
        }
    }
    drop(streams);
    assert_eq!(proxy.memory_pages(), pages, "pages of memory");
    print_line(&format!(
        "{REQUESTS} requests in one VM, {MAX_STREAMS} at a time: {ended} completed, {reset} reset; \
         {pages} pages of memory after the first thousand and at the end"
    ));
    Ok(())
}

/// The configuration with this number, and the value that it appends. Configurations with odd
/// numbers are invalid.
fn configuration(number: u32) -> (String, Option<String>) {
    if number % 2 == 1 {
        let bad = [
            "[]",
            r#"{"a": 1}"#,
            r#"{"te": "x"}"#,
            r#"{"etag": "x"}"#,
            "\n\u{12}",
            r#"{"a": "1", "A": "2"}"#,
            "{",
        ];
        let bad = bad[number as usize / 2 % bad.len()];
        return (bad.to_owned(), None);
    }
    let value = format!("value-{number}");
    (format!(r#"{{"custom-header": "{value}"}}"#), Some(value))
}

/// A stream, and the value that was configured when it began.
type OpenStream = (Stream, String);

/// Opens a stream, and ends others while too many are open.
fn open_and_end_streams(
    proxy: &Proxy,
    value: &str,
    streams: &mut Vec<OpenStream>,
    random: &mut Rng,
) -> Result<(), Error> {
    streams.push((proxy.request("GET", "/").send()?, value.to_owned()));
    while streams.len() > MAX_STREAMS {
        let (stream, value) = streams.swap_remove(random.usize(..streams.len()));
        let response = stream.respond(200)?;
        assert_eq!(response.header("custom-header"), [value]);
    }
    Ok(())
}

const RECONFIGURATIONS: u32 = 10_000;

#[test]
fn memory_does_not_grow_in_ten_thousand_configurations_of_a_plugin() -> Result<(), Error> {
    let proxy = Proxy::load(extension())?.configure(r#"{"custom-header": "first"}"#)?;
    let mut random = Rng::with_seed(2);
    let (mut value, mut rejected, mut pages) = ("first".to_owned(), 0, 0);
    let mut streams = Vec::new();
    for number in 0..RECONFIGURATIONS {
        let (configuration, good) = configuration(number);
        match (proxy.reconfigure(configuration), good) {
            (Ok(()), Some(next)) => value = next,
            (Err(Error::Rejected { .. }), None) => rejected += 1,
            (result, good) => panic!("{number}: {result:?}, {good:?}"),
        }
        open_and_end_streams(&proxy, &value, &mut streams, &mut random)?;
        if number == 1_000 {
            pages = proxy.memory_pages();
        }
    }
    assert_eq!(proxy.memory_pages(), pages, "pages of memory");
    print_line(&format!(
        "{RECONFIGURATIONS} configurations of one plugin, {rejected} rejected, {MAX_STREAMS} concurrent \
         requests: {pages} pages of memory after the first thousand and at the end"
    ));
    Ok(())
}

#[test]
fn memory_does_not_grow_in_ten_thousand_plugins() -> Result<(), Error> {
    let mut proxy = Proxy::load(extension())?.configure(r#"{"custom-header": "first"}"#)?;
    let mut random = Rng::with_seed(3);
    let (mut value, mut rejected, mut pages) = ("first".to_owned(), 0, 0);
    let mut streams = Vec::new();
    for number in 0..RECONFIGURATIONS {
        let (configuration, good) = configuration(number);
        match (proxy.add_plugin(configuration), good) {
            (Ok(next), Some(next_value)) => {
                // Envoy deletes a plugin after its last stream, so end the open streams first.
                for (stream, value) in streams.drain(..) {
                    let response = Stream::respond(&stream, 200)?;
                    assert_eq!(response.header("custom-header"), [value]);
                }
                proxy.shut_down()?;
                (proxy, value) = (next, next_value);
            }
            (Err(Error::Rejected { .. }), None) => rejected += 1,
            (Ok(_), None) => panic!("{number} was accepted"),
            (Err(error), _) => return Err(error),
        }
        open_and_end_streams(&proxy, &value, &mut streams, &mut random)?;
        if number == 1_000 {
            pages = proxy.memory_pages();
        }
    }
    assert_eq!(proxy.memory_pages(), pages, "pages of memory");
    print_line(&format!(
        "{RECONFIGURATIONS} plugins in one VM, {rejected} rejected: {pages} pages of memory after \
         the first thousand and at the end"
    ));
    Ok(())
}
