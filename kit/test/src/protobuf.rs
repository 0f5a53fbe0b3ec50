//! Reading messages of protocol buffers.

/// How deep groups may be nested: the limit of protocol buffers.
const MAX_DEPTH: u32 = 100;

/// The value of a field whose type the reader knows by its number.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FieldValue<'a> {
    /// A number, or a truth value.
    Number(u64),
    /// Text, bytes, or a message.
    Bytes(&'a [u8]),
}

/// Passes each field of a message, with its number, to `field`, which returns `None` if it is not
/// valid. Fields of other types are skipped. Returns `None` if the message is not valid.
pub(crate) fn read(
    mut message: &[u8],
    mut field: impl FnMut(u32, FieldValue) -> Option<()>,
) -> Option<()> {
    while !message.is_empty() {
        let (number, wire_type) = tag(&mut message)?;
        match wire_type {
            0 => field(number, FieldValue::Number(varint(&mut message)?))?,
            2 => field(number, FieldValue::Bytes(with_length(&mut message)?))?,
            _ => skip(&mut message, number, wire_type, MAX_DEPTH)?,
        }
    }
    Some(())
}

/// Skips a field's value.
fn skip(message: &mut &[u8], number: u32, wire_type: u64, depth: u32) -> Option<()> {
    match wire_type {
        0 => varint(message).map(drop),
        1 => take(message, 8).map(drop),
        2 => with_length(message).map(drop),
        // A group: fields up to the tag that ends it.
        3 => {
            let depth = depth.checked_sub(1)?;
            loop {
                let (inner, wire_type) = tag(message)?;
                if wire_type == 4 {
                    return (inner == number).then_some(());
                }
                skip(message, inner, wire_type, depth)?;
            }
        }
        5 => take(message, 4).map(drop),
        _ => None,
    }
}

/// A field's number and wire type.
fn tag(message: &mut &[u8]) -> Option<(u32, u64)> {
    let tag = u32::try_from(varint(message)?).ok()?;
    let number = tag >> 3;
    (number != 0).then_some((number, u64::from(tag & 7)))
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let byte = *take(message, 1)?.first()?;
        number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn with_length<'a>(message: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(varint(message)?).ok()?;
    take(message, length)
}

fn take<'a>(message: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(length)?;
    *message = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Option<Vec<(u32, String)>> {
        let mut fields = Vec::new();
        read(message, |number, value| {
            fields.push((number, format!("{value:?}")));
            Some(())
        })?;
        Some(fields)
    }

    #[test]
    fn numbers_and_bytes_are_passed_on_and_other_types_skipped() {
        let message = b"\x08\x96\x01\x12\x02hi\x19........\x25....\x33\x08\x01\x34";
        let expected = [(1, "Number(150)"), (2, "Bytes([104, 105])")];
        let expected = expected.map(|(number, value)| (number, value.to_owned()));
        assert_eq!(fields(message), Some(expected.to_vec()));
        assert_eq!(fields(b""), Some(Vec::new()));
    }

    #[test]
    fn message_that_is_not_valid_is_rejected() {
        let deep = [b'c'; 1_000];
        for message in [
            &b"\xff"[..],    // a tag without its end
            b"\x00\x01",     // field 0
            b"\x0a\x05abc",  // a length beyond the end
            b"\x0b\x14",     // a group with the end of another
            b"\x0b\x08\x01", // a group without an end
            b"\x0c",         // the end of no group
            b"\x0e",         // a wire type that does not exist
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            &deep,
        ] {
            assert_eq!(fields(message), None, "{message:?}");
        }
    }
}
