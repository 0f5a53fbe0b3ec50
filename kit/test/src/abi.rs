//! The numbers of the ABI: section "Types", and the encoding of maps: section "Serialization".

use super::headers::Headers;

macro_rules! numbers {
    ($(#[$attribute:meta])* $visibility:vis enum $name:ident {
        $($(#[$variant_attribute:meta])* $variant:ident = $number:literal,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visibility enum $name {
            $($(#[$variant_attribute])* $variant = $number,)*
        }

        impl TryFrom<u32> for $name {
            /// What the ABI answers to a number that it does not know.
            type Error = Status;

            fn try_from(number: u32) -> Result<Self, Status> {
                match number {
                    $($number => Ok(Self::$variant),)*
                    _ => Err(Status::BadArgument),
                }
            }
        }
    };
}

numbers! {
    /// What a host call answers (ABI: `proxy_status_t`).
    #[non_exhaustive]
    pub enum Status {
        /// It was done.
        Ok = 0,
        /// What was asked for is not there.
        NotFound = 1,
        /// An argument is not one that the call takes.
        BadArgument = 2,
        /// A value could not be encoded.
        SerializationFailure = 3,
        /// A value could not be decoded.
        ParseFailure = 4,
        /// An address lies outside the module's memory.
        InvalidMemoryAccess = 6,
        /// The queue has no item.
        Empty = 7,
        /// Someone else has changed the shared value.
        CasMismatch = 8,
        /// The host failed.
        InternalFailure = 10,
        /// The host does not do this.
        Unimplemented = 12,
    }
}

numbers! {
    /// How much a log line matters (ABI: `proxy_log_level_t`).
    pub enum LogLevel {
        /// Every step.
        Trace = 0,
        /// For whoever looks for a fault.
        Debug = 1,
        /// What an operator may want to know.
        Info = 2,
        /// What an operator should look at.
        Warn = 3,
        /// What did not work.
        Error = 4,
        /// What stops the extension; panics are logged so.
        Critical = 5,
    }
}

numbers! {
    /// Maps of header fields (ABI: `proxy_map_type_t`).
    pub(super) enum MapType {
        RequestHeaders = 0,
        RequestTrailers = 1,
        ResponseHeaders = 2,
        ResponseTrailers = 3,
        GrpcInitialMetadata = 4,
        GrpcTrailingMetadata = 5,
        CallResponseHeaders = 6,
        CallResponseTrailers = 7,
    }
}

numbers! {
    /// Buffers (ABI: `proxy_buffer_type_t`).
    pub(super) enum BufferType {
        RequestBody = 0,
        ResponseBody = 1,
        DownstreamData = 2,
        UpstreamData = 3,
        CallResponseBody = 4,
        GrpcMessage = 5,
        VmConfiguration = 6,
        PluginConfiguration = 7,
        ForeignFunctionArguments = 8,
    }
}

numbers! {
    /// What can be paused and resumed (ABI: `proxy_stream_type_t`).
    pub(super) enum StreamType {
        Request = 0,
        Response = 1,
        Downstream = 2,
        Upstream = 3,
    }
}

numbers! {
    /// Kinds of metrics (ABI: `proxy_metric_type_t`).
    pub(super) enum MetricType {
        Counter = 0,
        Gauge = 1,
        Histogram = 2,
    }
}

/// Encodes a map. An empty one takes no bytes.
pub(super) fn serialize(map: &Headers) -> Vec<u8> {
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

/// Lengths fit 32 bits: every part has come out of, or has to go into, a 32-bit memory.
fn push_length(bytes: &mut Vec<u8>, length: usize) {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
}

/// Decodes a map that a module has encoded. `None` when the lengths do not add up.
pub(super) fn deserialize(bytes: &[u8]) -> Option<Headers> {
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
    fn a_map_is_encoded_as_the_abi_shows() {
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
    fn an_empty_map_has_two_encodings() {
        assert!(serialize(&Headers::default()).is_empty());
        assert_eq!(deserialize(&[]), Some(Headers::default()));
        assert_eq!(deserialize(&[0]), Some(Headers::default()));
        assert_eq!(deserialize(&[0, 0, 0, 0]), Some(Headers::default()));
    }

    #[test]
    fn lengths_that_lie_are_seen() {
        let honest = serialize(&Headers::from_iter([("name", "value")]));
        for end in 1..honest.len() {
            assert_eq!(deserialize(&honest[..end]), None, "{end} bytes");
        }
        for index in 0..12 {
            let mut lying = honest.clone();
            lying[index] = 0xff;
            assert_eq!(deserialize(&lying), None, "byte {index}");
        }
    }
}
