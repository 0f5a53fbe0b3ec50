//! The encoding of maps (ABI: "Serialization").

use crate::headers::Headers;

/// Encodes a map. An empty map has no bytes.
pub(crate) fn serialize(map: &Headers) -> Vec<u8> {
    if map.is_empty() {
        return Vec::new();
    }
    let mut bytes = Vec::new();
    push_length(&mut bytes, map.len());
    for (name, value) in map.bytes() {
        push_length(&mut bytes, name.len());
        push_length(&mut bytes, value.len());
    }
    for (name, value) in map.bytes() {
        for part in [name, value] {
            bytes.extend_from_slice(part);
            bytes.push(0);
        }
    }
    bytes
}

/// Lengths fit into 32 bits, because every part was read from a 32-bit memory or is written to one.
fn push_length(bytes: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
}

/// Envoy's limits for an encoded map: its bytes, and its pairs.
const MAX_SIZE: usize = 1 << 20;
const MAX_COUNT: usize = 1024;

/// Decodes a map that a module has encoded. As in Envoy, one that is malformed, or beyond the
/// limits, has no fields.
pub(crate) fn deserialize(bytes: &[u8]) -> Headers {
    read_fields(bytes).unwrap_or_default()
}

fn read_fields(bytes: &[u8]) -> Option<Headers> {
    let mut map = Headers::default();
    let (count, rest) = split_length(bytes).filter(|_| bytes.len() <= MAX_SIZE)?;
    if count > MAX_COUNT {
        return None;
    }
    let (mut lengths, mut parts) = rest.split_at_checked(count.checked_mul(8)?)?;
    while !lengths.is_empty() {
        let (name_length, after) = split_length(lengths)?;
        let (value_length, after) = split_length(after)?;
        lengths = after;
        let (name, after) = split_part(parts, name_length)?;
        let (value, after) = split_part(after, value_length)?;
        parts = after;
        map.append(name, value);
    }
    parts.is_empty().then_some(map)
}

fn split_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    Some((usize::try_from(u32::from_le_bytes(*length)).ok()?, rest))
}

fn split_part(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    let (part, rest) = bytes.split_at_checked(length)?;
    Some((part, rest.strip_prefix(&[0])?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_is_encoded_as_in_the_specification() {
        let map = Headers::from_iter([("a", "1"), ("b", "22")]);
        let bytes = serialize(&map);
        let expected = [
            [2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0].as_slice(),
            &[1, 0, 0, 0, 2, 0, 0, 0],
            b"a\x001\x00b\x0022\x00",
        ]
        .concat();
        assert_eq!(bytes, expected);
        assert_eq!(deserialize(&bytes), map);
    }

    #[test]
    fn empty_map_has_several_encodings() {
        assert!(serialize(&Headers::default()).is_empty());
        for bytes in [b"".as_slice(), &[0], &[0, 0, 0, 0]] {
            assert!(deserialize(bytes).is_empty());
        }
    }

    #[test]
    fn malformed_map_has_no_fields() {
        let right = serialize(&Headers::from_iter([("name", "value")]));
        for end in 1..right.len() {
            assert!(deserialize(&right[..end]).is_empty(), "{end} bytes");
        }
        for index in 0..12 {
            let mut wrong = right.clone();
            wrong[index] = 0xff;
            assert!(deserialize(&wrong).is_empty(), "byte {index}");
        }
        assert!(deserialize(&[right.as_slice(), &[0]].concat()).is_empty());
    }

    #[test]
    fn map_beyond_the_limits_has_no_fields() {
        let fields = |count| serialize(&(0..count).map(|_| ("a", "")).collect());
        assert_eq!(deserialize(&fields(1024)).len(), 1024);
        assert!(deserialize(&fields(1025)).is_empty());
        let value = |size| serialize(&Headers::from_iter([("a", vec![b'a'; size])]));
        let largest = (1 << 20) - 15;
        assert_eq!(deserialize(&value(largest)).len(), 1);
        assert!(deserialize(&value(largest + 1)).is_empty());
    }
}
