//! Fields of messages in JSON, which have two names.

use serde_json::{Map, Value};

/// A field by its name in snake case, or the same in camel case.
pub fn field<'a>(object: &'a mut Map<String, Value>, name: &str) -> Option<&'a mut Value> {
    let name = match object.contains_key(name) {
        true => name.to_owned(),
        false => camel_case(name),
    };
    object.get_mut(&name)
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        name + &initial.to_ascii_uppercase() + rest
    })
}
