//! The module that ships, for a long time: it keeps its memory, and its streams apart.

use fastrand::Rng;
use proxy_wasm_e2e::{extension, print_line};
use proxy_wasm_test::{Error, Proxy, Reply, Stream};

/// Streams that are open side by side.
const OPEN: usize = 64;

#[test]
fn a_million_requests_leave_memory_as_it_was() -> Result<(), Error> {
    const REQUESTS: u32 = 1_000_000;
    let proxy = Proxy::load(extension())?.configure(r#"{"custom-header": "test"}"#)?;
    let mut random = Rng::with_seed(1);
    let mut streams: Vec<Stream> = Vec::new();
    let (mut ended, mut reset, mut pages) = (0, 0, 0);
    while ended + reset < REQUESTS {
        if streams.len() < OPEN {
            streams.push(proxy.request("GET", "/").send()?);
            continue;
        }
        let stream = streams.swap_remove(random.usize(..OPEN));
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
        "{REQUESTS} requests in one VM, {OPEN} at a time: {ended} answered, {reset} reset; \
         {pages} pages of memory after the first thousand and at the end"
    ));
    Ok(())
}

/// A configuration by its number, and the value that it appends; those with odd numbers are bad.
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

/// A stream, and the value that it began with.
type Begun = (Stream, String);

/// Opens streams and ends some of those that are open.
fn exchange(
    proxy: &Proxy,
    value: &str,
    streams: &mut Vec<Begun>,
    random: &mut Rng,
) -> Result<(), Error> {
    streams.push((proxy.request("GET", "/").send()?, value.to_owned()));
    while streams.len() > OPEN {
        let (stream, value) = streams.swap_remove(random.usize(..streams.len()));
        let response = stream.respond(200)?;
        assert_eq!(response.header("custom-header"), [value]);
    }
    Ok(())
}

const RECONFIGURATIONS: u32 = 10_000;

#[test]
fn one_plugin_takes_ten_thousand_configurations() -> Result<(), Error> {
    let proxy = Proxy::load(extension())?.configure(r#"{"custom-header": "first"}"#)?;
    let mut random = Rng::with_seed(2);
    let (mut value, mut refused, mut pages) = ("first".to_owned(), 0, 0);
    let mut streams = Vec::new();
    for number in 0..RECONFIGURATIONS {
        let (configuration, good) = configuration(number);
        match (proxy.reconfigure(configuration), good) {
            (Ok(()), Some(next)) => value = next,
            (Err(Error::Rejected { .. }), None) => refused += 1,
            (result, good) => panic!("{number}: {result:?}, {good:?}"),
        }
        exchange(&proxy, &value, &mut streams, &mut random)?;
        if number == 1_000 {
            pages = proxy.memory_pages();
        }
    }
    assert_eq!(proxy.memory_pages(), pages, "pages of memory");
    print_line(&format!(
        "{RECONFIGURATIONS} configurations of one plugin, {refused} refused, {OPEN} requests open \
         across them: {pages} pages of memory after the first thousand and at the end"
    ));
    Ok(())
}

#[test]
fn plugins_come_and_go_ten_thousand_times() -> Result<(), Error> {
    let mut proxy = Proxy::load(extension())?.configure(r#"{"custom-header": "first"}"#)?;
    let mut random = Rng::with_seed(3);
    let (mut value, mut refused, mut pages) = ("first".to_owned(), 0, 0);
    let mut streams = Vec::new();
    for number in 0..RECONFIGURATIONS {
        let (configuration, good) = configuration(number);
        match (proxy.add_plugin(configuration), good) {
            (Ok(next), Some(next_value)) => {
                // An old plugin ends once its last stream has: here those that are open are ended.
                for (stream, value) in streams.drain(..) {
                    let response = Stream::respond(&stream, 200)?;
                    assert_eq!(response.header("custom-header"), [value]);
                }
                proxy.shut_down()?;
                (proxy, value) = (next, next_value);
            }
            (Err(Error::Rejected { .. }), None) => refused += 1,
            (Ok(_), None) => panic!("{number} was accepted"),
            (Err(error), _) => return Err(error),
        }
        exchange(&proxy, &value, &mut streams, &mut random)?;
        if number == 1_000 {
            pages = proxy.memory_pages();
        }
    }
    assert_eq!(proxy.memory_pages(), pages, "pages of memory");
    print_line(&format!(
        "{RECONFIGURATIONS} plugins in one VM, {refused} refused: {pages} pages of memory after \
         the first thousand and at the end"
    ));
    Ok(())
}
