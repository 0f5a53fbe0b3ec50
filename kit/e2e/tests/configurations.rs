//! Property tests: the template's module accepts or rejects every configuration according to the
//! contract, and never traps.

#[path = "configurations/contract.rs"]
mod contract;

use std::cell::RefCell;
use std::fmt;

use contract::{Lines, expected};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use proxy_wasm_e2e::{extension, print_line};
use proxy_wasm_test::{Error, Proxy};

/// The directory for the seeds of failures. Each run begins with them.
const REGRESSIONS: &str = "tests/configurations/regressions";

/// A configuration. It is displayed as a truncated byte string.
struct ConfigurationBytes(Vec<u8>);

impl fmt::Debug for ConfigurationBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        const MAX_LENGTH: usize = 500;
        let (start, rest) = self.0.split_at(self.0.len().min(MAX_LENGTH));
        write!(formatter, "b\"{}\"", start.escape_ascii())?;
        if !rest.is_empty() {
            write!(formatter, " and {} more bytes", rest.len())?;
        }
        Ok(())
    }
}

/// Compares the module with the contract for a number of configurations, one after the other in one
/// VM, as in a mesh.
fn check(cases: u32, what: &str, configurations: impl Strategy<Value = Vec<u8>>) {
    let proxy = Proxy::load(extension()).expect("the template's module");
    let last_accepted = RefCell::new(expected(b"").expect("the default is valid"));
    let accepted = RefCell::new(0u32);
    let checked = RefCell::new(0u32);
    let traps = RefCell::new(0u32);
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        ..Config::default()
    });
    proxy.reconfigure("").expect("the default is valid");
    let configurations = configurations.prop_map(ConfigurationBytes);
    let result = runner.run(&configurations, |ConfigurationBytes(configuration)| {
        *checked.borrow_mut() += 1;
        match (proxy.reconfigure(&configuration), expected(&configuration)) {
            (Ok(()), Some(lines)) => {
                *accepted.borrow_mut() += 1;
                *last_accepted.borrow_mut() = lines;
            }
            (Err(Error::Rejected { log, .. }), None) => {
                prop_assert_eq!(log.len(), 1, "the reason is not one log line: {:?}", &log);
                let message = &log[0].message;
                prop_assert!(
                    message.starts_with("configuration rejected: "),
                    "{}",
                    message
                );
                prop_assert!(message.len() < 1000, "{} bytes", message.len());
                // It looks like an encoded `Struct`: it begins with the tag of an entry, and contains
                // the tag of a value.
                if configuration.starts_with(b"\x0A") && configuration.contains(&0x12) {
                    prop_assert!(message.contains("protobuf"), "{}", message);
                }
            }
            (Ok(()), None) => {
                return Err(TestCaseError::fail("accepted, but the contract rejects it"));
            }
            (Err(error), _) => {
                *traps.borrow_mut() += u32::from(matches!(error, Error::Trap(_)));
                return Err(TestCaseError::fail(error.to_string()));
            }
        }
        let response = proxy
            .request("GET", "/")
            .respond(200)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        let appended: Lines = response
            .headers()
            .bytes()
            .filter(|(name, _)| *name != b":status")
            .map(|(name, value)| {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
                (text(name), text(value))
            })
            .collect();
        prop_assert_eq!(&appended, &*last_accepted.borrow());
        Ok(())
    });
    let (checked, accepted) = (checked.into_inner(), accepted.into_inner());
    let (rejected, traps) = (checked.saturating_sub(accepted), traps.into_inner());
    print_line(&format!(
        "{what}: {checked} configurations, {accepted} accepted, {rejected} rejected, {traps} traps"
    ));
    if let Err(error) = result {
        panic!("{what}: {error}\ncommit the seed in {REGRESSIONS}");
    }
}

/// JSON white space.
fn space() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 1 => "[ \t\r\n]{0,3}"]
}

/// A JSON string with some escaped characters.
fn quoted(text: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (text, any::<u64>()).prop_map(|(text, escapes)| {
        let mut json = String::from("\"");
        for (index, c) in text.chars().enumerate() {
            let must = c.is_control() || c == '"' || c == '\\';
            if must || escapes >> (index % 64) & 7 == 0 {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    json.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                json.push(c);
            }
        }
        json.push('"');
        json
    })
}

fn valid_name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-zA-Z][a-zA-Z0-9-]{0,12}",
        1 => "[!#$%&'*+.^_`|~0-9A-Za-z-]{1,6}",
    ]
}

fn invalid_name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z]{0,4}[ \"(),/:;<=>?@\\[\\]{}\\\\\r\n\u{0}\u{7f}é漢][a-z]{0,4}",
        "(Connection|content-length|HOST|keep-alive|Proxy-Connection|te|trailer)",
        "(transfer-encoding|UPGRADE|:status|:path|:)",
        "(Age|content-(location|range|type)|Date|ETag|expires|last-modified)",
        "(Location|retry-after|SERVER|grpc-(message|status))",
        any::<String>(),
    ]
}

fn valid_value() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,20}", "[ \t]{0,2}[ -~é漢😀\t]{0,10}[ \t]{0,2}"]
}

fn invalid_value() -> impl Strategy<Value = String> {
    "[ -~]{0,5}[\u{0}-\u{8}\u{a}-\u{1f}\u{7f}-\u{9f}][ -~]{0,5}"
}

/// A JSON object with these names and values.
fn object(
    names: impl Strategy<Value = String> + 'static,
    values: impl Strategy<Value = String> + 'static,
) -> impl Strategy<Value = String> {
    let member = (space(), quoted(names), space(), values, space())
        .prop_map(|(a, name, b, value, c)| format!("{a}{name}{b}:{value}{c}"));
    (space(), prop::collection::vec(member, 0..5), space())
        .prop_map(|(a, members, b)| format!("{a}{{{}}}{b}", members.join(",")))
}

/// One value, or an array of them.
fn one_or_more(
    value: impl Strategy<Value = String> + Clone + 'static,
) -> impl Strategy<Value = String> {
    let array = (prop::collection::vec(quoted(value.clone()), 0..4), space())
        .prop_map(|(values, a)| format!("[{a}{}{a}]", values.join(",")));
    prop_oneof![3 => quoted(value), 1 => array]
}

/// Any JSON, nested a little.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(vec![
            "null",
            "true",
            "false",
            "0",
            "-1.5e3",
            "1e999",
            "\"\\ud800\""
        ])
        .prop_map(str::to_owned),
        quoted(any::<String>()),
        any::<f64>().prop_map(|number| number.to_string()),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let member = (
            quoted(prop_oneof![valid_name(), invalid_name()]),
            inner.clone(),
        )
            .prop_map(|(name, value)| format!("{name}:{value}"));
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec(member, 0..4)
                .prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// Text with a few bytes inserted, removed or replaced.
fn damaged(text: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let change = (
        any::<prop::sample::Index>(),
        0..3u8,
        any::<u8>(),
        any::<bool>(),
    );
    (text, prop::collection::vec(change, 1..4)).prop_map(|(text, changes)| {
        let mut bytes = text.into_bytes();
        for (place, kind, byte, is_mark) in changes {
            let mark = b"{}[]\":,\\"[usize::from(byte) % 8];
            let byte = if is_mark { mark } else { byte };
            let place = place.index(bytes.len() + 1);
            match kind {
                0 => bytes.insert(place, byte),
                1 if place < bytes.len() => drop(bytes.remove(place)),
                _ if place < bytes.len() => bytes[place] = byte,
                _ => {}
            }
        }
        bytes
    })
}

/// The bytes of a text, sometimes after a byte order mark.
fn bytes(text: impl Strategy<Value = String>) -> impl Strategy<Value = Vec<u8>> {
    let mark = prop_oneof![7 => Just(""), 1 => Just("\u{feff}")];
    (mark, text).prop_map(|(mark, text)| format!("{mark}{text}").into_bytes())
}

/// A length-delimited field of a protobuf message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        field.push(length as u8 | 0x80);
        length >>= 7;
    }
    field.push(length as u8);
    [&field, bytes].concat()
}

/// A `google.protobuf.Struct` with a few strings, as Envoy encodes it.
fn encoded_struct() -> impl Strategy<Value = Vec<u8>> {
    let member = (any::<String>(), any::<String>()).prop_map(|(name, value)| {
        let value = field(3, value.as_bytes());
        field(1, &[field(1, name.as_bytes()), field(2, &value)].concat())
    });
    prop::collection::vec(member, 1..5).prop_map(|members| members.concat())
}

#[test]
fn random_bytes_follow_the_contract() {
    check(
        15_000,
        "random bytes",
        prop::collection::vec(any::<u8>(), 0..200),
    );
}

#[test]
fn plain_text_follows_the_contract() {
    let text = prop_oneof![
        any::<String>(),
        valid_value(),
        invalid_value(),
        "\\s*\\PC{0,20}\\s*"
    ];
    check(15_000, "plain text", bytes(text));
}

#[test]
fn encoded_structs_follow_the_contract() {
    check(5_000, "encoded structs", encoded_struct());
}

#[test]
fn valid_objects_follow_the_contract() {
    let objects = object(valid_name(), one_or_more(valid_value().boxed()));
    check(20_000, "valid objects", bytes(objects));
}

#[test]
fn invalid_names_and_values_follow_the_contract() {
    let names = prop_oneof![2 => valid_name(), 1 => invalid_name()];
    let values = prop_oneof![2 => valid_value(), 1 => invalid_value()].boxed();
    check(
        20_000,
        "invalid names and values",
        bytes(object(names, one_or_more(values))),
    );
}

#[test]
fn random_json_follows_the_contract() {
    check(15_000, "random JSON", bytes(json()));
}

#[test]
fn almost_valid_json_follows_the_contract() {
    let text = prop_oneof![
        object(valid_name(), one_or_more(valid_value().boxed())),
        quoted(valid_value()),
        json(),
    ];
    check(20_000, "almost valid JSON", damaged(text));
}

#[test]
fn repeated_names_follow_the_contract() {
    let few_names = select(vec!["x-a", "X-A", "x-b", "x-c"]).prop_map(str::to_owned);
    let objects = object(few_names, one_or_more(valid_value().boxed()));
    check(5_000, "names that repeat", bytes(objects));
}

#[test]
fn deep_nesting_follows_the_contract() {
    let opening = select(vec![
        "[", "{\"a\":", "[{\"b\":", "{\"a\":[", "[[", "\"", "{\"\\",
    ]);
    let nested = (opening, 1..20_000usize, any::<bool>()).prop_map(|(opening, depth, closed)| {
        let closing = if closed {
            "]".repeat(depth)
        } else {
            String::new()
        };
        format!("{{\"x\":{}{closing}", opening.repeat(depth))
    });
    check(300, "deep nesting", bytes(nested));
}

#[test]
fn megabytes_follow_the_contract() {
    let size = 1 << 20..3usize << 20;
    let large = (
        select(vec!["value", "values", "members", "name", "text", "spaces"]),
        size,
    );
    let configurations = large.prop_map(|(kind, size)| match kind {
        "value" => format!("{{\"x\": \"{}\"}}", "v".repeat(size)),
        "values" => format!("{{\"x\": [\"a\"{}]}}", ",\"a\"".repeat(size / 256)),
        "members" => {
            let members = (0..size / 256).map(|index| format!("\"x-{index}\":\"v\""));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        "name" => format!("{{\"{}\": \"v\"}}", "é".repeat(size / 2)),
        "text" => "t".repeat(size),
        _ => " ".repeat(size),
    });
    check(24, "megabytes", bytes(configurations));
}
