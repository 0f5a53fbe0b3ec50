//! Header maps as Envoy keeps them: pseudo-headers come first, and some names only once.

use crate::headers::Headers;
use crate::inline_headers;

/// The kind of a map, which decides which names it holds only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapKind {
    Request,
    Response,
    RequestTrailers,
    ResponseTrailers,
}

impl MapKind {
    /// The name under which a map of this kind holds a field.
    fn key(self, name: &[u8]) -> Vec<u8> {
        self.key_of(name.to_ascii_lowercase())
    }

    /// As [`MapKind::key`], for a name in lower case.
    fn key_of(self, name: Vec<u8>) -> Vec<u8> {
        if self == Self::Request && name == b"host" {
            return b":authority".to_vec();
        }
        name
    }

    /// Whether a second value of a name is joined to the first one.
    fn joins(self, name: &[u8]) -> bool {
        let names: &[&str] = match self {
            Self::Request => &inline_headers::REQUEST,
            Self::Response => &inline_headers::RESPONSE,
            Self::RequestTrailers => &[],
            Self::ResponseTrailers => &inline_headers::RESPONSE_TRAILERS,
        };
        names
            .binary_search_by(|other| other.as_bytes().cmp(name))
            .is_ok()
    }

    /// A map as it arrives.
    pub(crate) fn receive(self, fields: Headers) -> Headers {
        let mut map = Headers::default();
        for (name, value) in fields.into_fields() {
            self.insert(&mut map, self.key_of(name), value);
        }
        map
    }

    /// The first value of a name.
    pub(crate) fn get<'a>(self, map: &'a Headers, name: &[u8]) -> Option<&'a [u8]> {
        map.first(self.key(name))
    }

    /// Adds a field: a pseudo-header after the others, any other field at the end. If the map has a
    /// value of a name that it holds only once, the two are joined with a comma.
    pub(crate) fn add(self, map: &mut Headers, name: &[u8], value: Vec<u8>) {
        self.insert(map, self.key(name), value);
    }

    fn insert(self, map: &mut Headers, key: Vec<u8>, value: Vec<u8>) {
        let fields = map.fields_mut();
        for (other, present) in fields.iter_mut() {
            if other.len() == key.len() && *other == key {
                if self.joins(&key) {
                    if !present.is_empty() && !value.is_empty() {
                        present.push(b',');
                    }
                    present.extend(value);
                    return;
                }
                break;
            }
        }
        if !is_pseudo(&key) {
            fields.push((key, value));
            return;
        }
        let others = fields.iter().position(|(name, _)| !is_pseudo(name));
        fields.insert(others.unwrap_or(fields.len()), (key, value));
    }

    /// Replaces all fields of a name by one, which is placed as a new one.
    pub(crate) fn replace(self, map: &mut Headers, name: &[u8], value: Vec<u8>) {
        self.remove(map, name);
        self.add(map, name, value);
    }

    /// Removes all fields of a name.
    pub(crate) fn remove(self, map: &mut Headers, name: &[u8]) {
        let key = self.key(name);
        map.fields_mut().retain(|(other, _)| *other != key);
    }
}

/// Whether a name is that of a pseudo-header.
pub(crate) fn is_pseudo(name: &[u8]) -> bool {
    name.starts_with(b":")
}

/// Sets a field in its place, or appends it. Envoy does so for the headers that it writes itself.
pub(crate) fn set_in_place(map: &mut Headers, name: &str, value: impl Into<Vec<u8>>) {
    let value = value.into();
    let fields = map.fields_mut();
    match fields
        .iter_mut()
        .find(|(other, _)| other == name.as_bytes())
    {
        Some((_, present)) => *present = value,
        None => fields.push((name.into(), value)),
    }
}

/// The size of a map as Envoy counts it: that of the names and values.
pub(crate) fn size(map: &Headers) -> usize {
    map.bytes()
        .map(|(name, value)| name.len() + value.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(kind: MapKind, fields: &[(&str, &str)]) -> Headers {
        let mut map = Headers::default();
        for (name, value) in fields {
            kind.add(&mut map, name.as_bytes(), value.as_bytes().to_vec());
        }
        map
    }

    fn is(map: &Headers, fields: &[(&str, &str)]) -> bool {
        *map == Headers::from_iter(fields.iter().copied())
    }

    #[test]
    fn values_of_a_known_name_are_joined() {
        let vary = [("Vary", ""), ("vary", "a"), ("vary", "b"), ("vary", "")];
        assert!(is(&map(MapKind::Response, &vary), &[("vary", "a,b")]));
        assert!(is(
            &map(MapKind::ResponseTrailers, &[("vary", "a"), ("vary", "b")]),
            &[("vary", "a"), ("vary", "b")]
        ));
    }

    #[test]
    fn pseudo_headers_come_first() {
        let mut map = map(
            MapKind::Request,
            &[
                (":authority", "a"),
                ("x", "1"),
                (":path", "/"),
                ("host", "b"),
            ],
        );
        assert!(is(
            &map,
            &[(":authority", "a,b"), (":path", "/"), ("x", "1")]
        ));
        MapKind::Request.replace(&mut map, b"Host", b"c".to_vec());
        assert!(is(&map, &[(":path", "/"), (":authority", "c"), ("x", "1")]));
        assert_eq!(MapKind::Request.get(&map, b"HOST"), Some(b"c".as_slice()));
    }

    #[test]
    fn a_replaced_field_moves_to_the_end() {
        let mut map = map(MapKind::Response, &[("a", "1"), ("b", "2"), ("A", "3")]);
        MapKind::Response.replace(&mut map, b"a", b"4".to_vec());
        assert!(is(&map, &[("b", "2"), ("a", "4")]));
        MapKind::Response.remove(&mut map, b"B");
        assert!(is(&map, &[("a", "4")]));
    }

    #[test]
    fn size_counts_names_and_values() {
        assert_eq!(size(&map(MapKind::Response, &[("a", "22"), ("bc", "")])), 5);
    }
}
