//! The name section, as Envoy reads it.

use wasmparser::{BinaryReader, Parser, Payload};

/// The subsection with the function names.
const FUNCTIONS: u8 = 1;

/// Envoy rejects larger numbers.
const MAX_NUMBER: u32 = 0x3fff_ffff;

/// Whether Envoy can read the function names of a module. It reads the first section that is named
/// `name`, for stack traces, and rejects the module if it cannot.
///
/// Unlike other tools, Envoy ignores other subsections and accepts names that are not UTF-8.
pub fn are_readable(module: &[u8]) -> bool {
    Parser::new(0)
        .parse_all(module)
        .find_map(|payload| match payload {
            Ok(Payload::CustomSection(section)) if section.name() == "name" => {
                Some(section_is_readable(section.data()))
            }
            _ => None,
        })
        .unwrap_or(true)
}

fn section_is_readable(section: &[u8]) -> bool {
    let read = || -> Option<()> {
        let mut reader = BinaryReader::new(section, 0);
        while !reader.eof() {
            let id = reader.read_u8().ok()?;
            let content = bytes(&mut reader)?;
            if id == FUNCTIONS {
                functions(content)?;
            }
        }
        Some(())
    };
    read().is_some()
}

/// Reads a list of functions, each an index and a name. It must fill the subsection.
fn functions(subsection: &[u8]) -> Option<()> {
    let mut reader = BinaryReader::new(subsection, 0);
    for _ in 0..number(&mut reader)? {
        number(&mut reader)?;
        bytes(&mut reader)?;
    }
    reader.eof().then_some(())
}

/// Reads bytes that follow their count.
fn bytes<'a>(reader: &mut BinaryReader<'a>) -> Option<&'a [u8]> {
    let length = usize::try_from(number(reader)?).ok()?;
    reader.read_bytes(length).ok()
}

fn number(reader: &mut BinaryReader) -> Option<u32> {
    reader
        .read_var_u32()
        .ok()
        .filter(|number| *number <= MAX_NUMBER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_of_functions_must_fill_its_subsection() {
        for (section, is_readable) in [
            (&[][..], true),
            (&[1, 4, 1, 0, 1, b'f'], true),
            (&[1, 4, 1, 0, 1, 0xff], true),
            (&[2, 2, 9, 9], true),
            (&[1], false),
            (&[1, 4, 1, 0, 2, b'f'], false),
            (&[1, 5, 1, 0, 1, b'f', 0], false),
            (&[1, 4, 2, 0, 1, b'f'], false),
            (&[2, 3, 9, 9], false),
            (&[1, 8, 1, 0xff, 0xff, 0xff, 0xff, 3, 1, b'f'], true),
            (&[1, 8, 1, 0xff, 0xff, 0xff, 0xff, 4, 1, b'f'], false),
        ] {
            assert_eq!(section_is_readable(section), is_readable, "{section:?}");
        }
    }
}
