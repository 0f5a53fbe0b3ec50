//! Writes a recorded exchange as a case.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::json::Json;
use super::secrets::Secrets;
use super::text::Map;
use crate::headers::Headers;
use crate::message::Message;

/// What clients and services set for a connection, and what Envoy adds, which may differ in each run.
const OMITTED: [&str; 12] = [
    "connection",
    "content-length",
    "date",
    "expect",
    "keep-alive",
    "proxy-connection",
    "server",
    "transfer-encoding",
    "x-envoy-expected-rq-timeout-ms",
    "x-envoy-upstream-service-time",
    "x-forwarded-proto",
    "x-request-id",
];

/// What was observed of a request.
pub struct RecordedExchange<'a> {
    pub configuration: Option<&'a str>,
    pub request: &'a Message,
    pub response: &'a Message,
    /// The requests that the upstream received, and its responses. The last one is the client's, if it
    /// was forwarded.
    pub forwarded: &'a [(Message, Message)],
}

/// The case of an exchange.
pub fn write_case(exchange: &RecordedExchange) -> String {
    let forwarded = exchange.forwarded.iter();
    let messages = forwarded.flat_map(|(request, response)| [request, response]);
    let secrets = Secrets::of(messages.chain([exchange.request, exchange.response]));
    let request = secrets.replace(exchange.request);
    let response = secrets.replace(exchange.response);
    let status = field(&response, ":status");
    let (method, path) = (field(&request, ":method"), field(&request, ":path"));

    let mut lines = vec![format!(
        "- case: {}",
        text(&format!("{method} {path} has the response {status}"))
    )];
    if let Some(configuration) = exchange.configuration {
        lines.push(format!("  configuration: {}", text(configuration)));
    }
    lines.push(format!("  request: {}", flow(&request_json(&request))));
    let mut expect = vec![("response", response_json(&response))];
    if let Some((forwarded, response)) = exchange.forwarded.last() {
        let upstream = response_json(&secrets.replace(response));
        lines.push(format!("  upstream: {}", flow(&upstream)));
        expect.push((
            "upstream_request",
            request_json(&secrets.replace(forwarded)),
        ));
    } else {
        expect.push(("forwarded", Json::Bool(false)));
    }
    lines.push("  expect:".to_owned());
    lines.extend(
        expect
            .iter()
            .map(|(key, value)| format!("    {key}: {}", flow(value))),
    );
    lines.join("\n") + "\n"
}

fn field(message: &Message, name: &str) -> String {
    let value = message.headers.first(name).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

fn request_json(request: &Message) -> Json {
    let mut entries = vec![
        ("method".to_owned(), Json::Text(field(request, ":method"))),
        ("path".to_owned(), Json::Text(field(request, ":path"))),
    ];
    add_parts(&mut entries, request);
    Json::Object(Map(entries))
}

fn response_json(response: &Message) -> Json {
    let status = field(response, ":status");
    let status = status.parse().map_or(Json::Text(status), Json::Unsigned);
    let mut entries = vec![("status".to_owned(), status)];
    add_parts(&mut entries, response);
    Json::Object(Map(entries))
}

/// Adds headers, body and trailers.
fn add_parts(entries: &mut Vec<(String, Json)>, message: &Message) {
    let mut add = |key: &str, fields: &Headers| {
        let fields = fields_json(fields);
        if !fields.0.is_empty() {
            entries.push((key.to_owned(), Json::Object(fields)));
        }
    };
    add("headers", &message.headers);
    add("trailers", &message.trailers);
    if message.body.is_empty() {
        return;
    }
    let body = match std::str::from_utf8(&message.body) {
        Ok(text) => Json::Text(text.to_owned()),
        Err(_) => {
            let base64 = Json::Text(STANDARD.encode(&message.body));
            Json::Object(Map(vec![("base64".to_owned(), base64)]))
        }
    };
    entries.push(("body".to_owned(), body));
}

/// Fields by name. Bytes that are not UTF-8 are replaced by `U+FFFD`.
fn fields_json(fields: &Headers) -> Map<Json> {
    let mut entries: Vec<(String, Vec<Json>)> = Vec::new();
    for (name, value) in fields.bytes() {
        let name = String::from_utf8_lossy(name).into_owned();
        if name.starts_with(':') || OMITTED.contains(&name.as_str()) {
            continue;
        }
        let value = String::from_utf8_lossy(value).into_owned();
        // The address of the recorder, which a client sends by default.
        let is_loopback = ["127.0.0.1", "localhost"]
            .iter()
            .any(|host| value.starts_with(host));
        if name == "host" && is_loopback {
            continue;
        }
        let value = Json::Text(value);
        match entries.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => entries.push((name, vec![value])),
        }
    }
    let one_or_many = |mut values: Vec<Json>| match values.len() {
        1 => values.remove(0),
        _ => Json::List(values),
    };
    let entries = entries.into_iter();
    Map(entries
        .map(|(name, values)| (name, one_or_many(values)))
        .collect())
}

/// A value in YAML's flow style.
fn flow(value: &Json) -> String {
    match value {
        Json::Text(value) => text(value),
        Json::List(items) => format!(
            "[{}]",
            items.iter().map(flow).collect::<Vec<_>>().join(", ")
        ),
        Json::Object(Map(entries)) => {
            let entries = entries.iter();
            let entries = entries.map(|(key, value)| format!("{}: {}", text(key), flow(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        // YAML writes numbers and booleans like JSON.
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// A text, in quotes unless it is a plain word or path.
fn text(text: &str) -> String {
    let is_plain = text.len() > 1
        && text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '/')
        && text
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_/. ".contains(letter))
        && !text.ends_with(' ')
        && !["true", "false", "null", "yes", "no", "on", "off"]
            .contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        return text.to_owned();
    }
    // A JSON string is a valid YAML string.
    serde_json::to_string(text).unwrap_or_default()
}
