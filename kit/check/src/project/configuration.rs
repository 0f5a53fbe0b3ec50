//! The configuration that each proxy and mesh passes to the module.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Number;

use crate::trial::{TrialProblem, TrialSettings};
use crate::yaml::{Node, NodeValue};

/// Maistra passes an object as JSON, and the string of the older API version unchanged. A missing
/// object becomes `null`, because Go writes a nil map that way.
pub fn maistra(document: &Node, config: Option<&Node>, is_old: bool) -> TrialSettings {
    let configuration = match config {
        Some(config) => config.text().map_or_else(|| json(config), str::to_owned),
        None if is_old => String::new(),
        None => "null".to_owned(),
    };
    let name = document.get(&["metadata", "name"]).and_then(Node::text);
    TrialSettings {
        configuration: Some(configuration.into_bytes()),
        root_id: Some(format!("{}_root", name.unwrap_or_default())),
        ..TrialSettings::default()
    }
}

/// Istio passes an object as JSON, but an empty object as an empty configuration.
pub fn istio(wasm: &Node, config: Option<&Node>) -> TrialSettings {
    let config = config.filter(|config| !config.map().is_empty());
    let environment = wasm
        .get(&["vmConfig", "env"])
        .map_or(&[][..], Node::list)
        .iter()
        .filter_map(|variable| {
            let name = variable.get(&["name"])?.text()?;
            // The values of host variables are not known here.
            let value = variable.get(&["value"])?.text()?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect();
    TrialSettings {
        configuration: Some(config.map(json).unwrap_or_default().into_bytes()),
        root_id: Some(text(wasm, &["pluginName"])),
        environment,
        ..TrialSettings::default()
    }
}

/// Envoy Gateway passes any value as JSON.
pub fn envoy_gateway(extension: &Node, config: Option<&Node>) -> TrialSettings {
    TrialSettings {
        configuration: Some(config.map(json).unwrap_or_default().into_bytes()),
        root_id: Some(text(extension, &["rootID"])),
        ..TrialSettings::default()
    }
}

/// Envoy passes the value of a `StringValue` or a `BytesValue`, and any other message in its
/// encoding.
pub fn envoy(plugin: &Node) -> Result<TrialSettings, TrialProblem> {
    let environment = plugin
        .get(&["vm_config", "environment_variables", "key_values"])
        .map_or(&[][..], Node::map)
        .iter()
        .map(|(name, value)| (name.clone(), value.text().unwrap_or_default().to_owned()))
        .collect();
    Ok(TrialSettings {
        configuration: Some(any(plugin.get(&["configuration"]))?),
        root_id: Some(text(plugin, &["root_id"])),
        vm_configuration: any(plugin.get(&["vm_config", "configuration"]))?,
        environment,
    })
}

/// What Envoy passes for a `google.protobuf.Any` (`MessageUtil::anyToBytes`).
fn any(message: Option<&Node>) -> Result<Vec<u8>, TrialProblem> {
    let Some(message) = message.filter(|message| message.is_set()) else {
        return Ok(Vec::new());
    };
    let problem = |is_error, what: String, how: &str| TrialProblem {
        is_error,
        what,
        how: how.to_owned(),
    };
    let type_url = text(message, &["@type"]);
    let name = type_url.rsplit('/').next().unwrap_or_default();
    let value = message.get(&["value"]).filter(|value| value.is_set());
    let is_text = value.is_none_or(|value| value.text().is_some());
    let text = value.and_then(Node::text).unwrap_or_default();
    match name {
        "google.protobuf.StringValue" | "google.protobuf.BytesValue" if !is_text => Err(problem(
            true,
            "the value of the configuration is not a string".to_owned(),
            "write it in quotes",
        )),
        "google.protobuf.StringValue" => Ok(text.as_bytes().to_vec()),
        "google.protobuf.BytesValue" => STANDARD.decode(text).map_err(|error| {
            let what = format!("the value of the configuration is not base64: {error}");
            problem(
                true,
                what,
                "encode it, or use a google.protobuf.StringValue",
            )
        }),
        "google.protobuf.Struct" => Ok(value.map(encode_struct).unwrap_or_default()),
        _ => Err(problem(
            false,
            format!("the configuration is not tried: its type is {name:?}"),
            "use a google.protobuf.StringValue, unless the module decodes this message",
        )),
    }
}

fn text(node: &Node, path: &[&str]) -> String {
    let text = node.get(path).and_then(Node::text);
    text.unwrap_or_default().to_owned()
}

fn json(node: &Node) -> String {
    json_value(node).to_string()
}

fn json_value(node: &Node) -> serde_json::Value {
    match &node.value {
        NodeValue::Null => serde_json::Value::Null,
        NodeValue::Bool(value) => (*value).into(),
        NodeValue::Integer(value) => Number::from_i128(*value).into(),
        NodeValue::Float(value) => float(*value),
        NodeValue::Text(text) => text.as_str().into(),
        NodeValue::List(items) => items.iter().map(json_value).collect(),
        NodeValue::Map(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), json_value(value)))
            .collect(),
    }
}

/// Go writes whole numbers without a fraction.
fn float(value: f64) -> serde_json::Value {
    const MAX_WHOLE: f64 = 1e15;
    if value.fract() == 0.0 && value.abs() < MAX_WHOLE {
        #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^63")]
        let whole = value as i64;
        whole.into()
    } else {
        value.into()
    }
}

/// The protobuf wire types in a `Struct`.
const VARINT: u8 = 0;
const FIXED64: u8 = 1;
const BYTES: u8 = 2;

/// Encodes a `google.protobuf.Struct`.
fn encode_struct(node: &Node) -> Vec<u8> {
    let mut encoded = Vec::new();
    for (key, value) in node.map() {
        let mut entry = Vec::new();
        push_bytes(&mut entry, 1, key.as_bytes());
        push_bytes(&mut entry, 2, &encode_value(value));
        push_bytes(&mut encoded, 1, &entry);
    }
    encoded
}

/// Encodes a `google.protobuf.Value`.
fn encode_value(node: &Node) -> Vec<u8> {
    let mut encoded = Vec::new();
    match &node.value {
        NodeValue::Null => encoded.extend([1 << 3 | VARINT, 0]),
        NodeValue::Bool(value) => encoded.extend([4 << 3 | VARINT, u8::from(*value)]),
        #[expect(clippy::cast_precision_loss, reason = "a NodeValue has doubles only")]
        NodeValue::Integer(value) => push_double(&mut encoded, *value as f64),
        NodeValue::Float(value) => push_double(&mut encoded, *value),
        NodeValue::Text(text) => push_bytes(&mut encoded, 3, text.as_bytes()),
        NodeValue::Map(_) => push_bytes(&mut encoded, 5, &encode_struct(node)),
        NodeValue::List(items) => {
            let mut list = Vec::new();
            for item in items {
                push_bytes(&mut list, 1, &encode_value(item));
            }
            push_bytes(&mut encoded, 6, &list);
        }
    }
    encoded
}

fn push_double(message: &mut Vec<u8>, value: f64) {
    message.push(2 << 3 | FIXED64);
    message.extend(value.to_le_bytes());
}

fn push_bytes(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field << 3 | BYTES);
    let mut length = bytes.len();
    while length >= 0x80 {
        message.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    message.push((length & 0x7f) as u8);
    message.extend(bytes);
}
