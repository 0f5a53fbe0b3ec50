//! The contract of the configuration, implemented independently of `src/config.rs`.

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// Header lines, each a name and a value.
pub type Lines = Vec<(String, String)>;

/// The header lines that a configuration appends, or `None` if it is rejected.
///
/// Encoded protobuf messages need no rule, because they contain control characters.
pub fn expected(configuration: &[u8]) -> Option<Lines> {
    let text = std::str::from_utf8(configuration).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match text.trim().chars().next() {
        None => Some(vec![line("custom-header", proxy_wasm_e2e::name())?]),
        Some('{') => match serde_json::from_str(text).ok()? {
            Json::Object(members) => lines(members),
            _ => None,
        },
        Some('"') => match serde_json::from_str(text).ok()? {
            Json::String(value) => Some(vec![line("custom-header", &value)?]),
            _ => None,
        },
        Some('[') => None,
        Some(_) => Some(vec![line("custom-header", text.trim())?]),
    }
}

fn lines(members: Vec<(String, Json)>) -> Option<Lines> {
    let mut lines = Lines::new();
    let mut names: Vec<String> = Vec::new();
    for (name, value) in members {
        let values = match value {
            Json::String(value) => vec![value],
            Json::Array(values) => values
                .into_iter()
                .map(|value| match value {
                    Json::String(value) => Some(value),
                    _ => None,
                })
                .collect::<Option<_>>()?,
            _ => return None,
        };
        // The name is checked even if the array is empty and appends nothing.
        line(&name, "")?;
        if names.iter().any(|other| other.eq_ignore_ascii_case(&name)) {
            return None;
        }
        for value in values {
            lines.push(line(&name, &value)?);
        }
        names.push(name);
    }
    Some(lines)
}

fn line(name: &str, value: &str) -> Option<(String, String)> {
    let name = name.to_ascii_lowercase();
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let is_forbidden = match name.as_str() {
        // These headers frame or route the message.
        "connection" | "content-length" | "host" | "keep-alive" | "proxy-connection" | "te"
        | "trailer" | "transfer-encoding" | "upgrade" => true,
        // These headers may occur only once in a response.
        "age" | "content-location" | "content-range" | "content-type" | "date" | "etag"
        | "expires" | "last-modified" | "location" | "retry-after" | "server" | "grpc-status"
        | "grpc-message" => true,
        _ => false,
    };
    let name_is_valid = !name.is_empty() && name.chars().all(is_token) && !is_forbidden;
    let value = value.trim_matches([' ', '\t']);
    let value_is_valid = !value.chars().any(|c| c.is_control() && c != '\t');
    (name_is_valid && value_is_valid).then(|| (name, value.to_owned()))
}

/// JSON that keeps the order of members and duplicate names.
#[derive(Debug)]
enum Json {
    Other,
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = array.next_element()? {
            values.push(value);
        }
        Ok(Json::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}
