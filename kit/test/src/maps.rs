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

/// Decodes a map that a module has encoded. `None` if its lengths do not add up.
pub(crate) fn deserialize(bytes: &[u8]) -> Option<Headers> {
    let mut map = Headers::default();
    // "An empty map may be represented either as an empty value, or as a single 0x00 byte."
    if bytes.is_empty() || bytes == [0] {
        return Some(map);
    }
    let (count, rest) = split_length(bytes)?;
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
    Some(map)
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
        assert_eq!(deserialize(&bytes), Some(map));
    }

    #[test]
    fn empty_map_has_several_encodings() {
        assert!(serialize(&Headers::default()).is_empty());
        assert_eq!(deserialize(&[]), Some(Headers::default()));
        assert_eq!(deserialize(&[0]), Some(Headers::default()));
        assert_eq!(deserialize(&[0, 0, 0, 0]), Some(Headers::default()));
    }

    #[test]
    fn wrong_lengths_are_rejected() {
        let right = serialize(&Headers::from_iter([("name", "value")]));
        for end in 1..right.len() {
            assert_eq!(deserialize(&right[..end]), None, "{end} bytes");
        }
        for index in 0..12 {
            let mut wrong = right.clone();
            wrong[index] = 0xff;
            assert_eq!(deserialize(&wrong), None, "byte {index}");
        }
    }
}
