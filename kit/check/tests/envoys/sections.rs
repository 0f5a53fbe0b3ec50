//! Custom sections, and bytes that are not a module.

use crate::case::Case;

/// A custom section.
fn section(name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut body = vec![u8::try_from(name.len()).expect("a short name")];
    body.extend(name);
    body.extend(content);
    let mut section = vec![0, u8::try_from(body.len()).expect("a short section")];
    section.extend(body);
    section
}

fn custom_sections() -> Vec<Case> {
    let module = Case::with("").module;
    let header = 8;
    let mut cases = Vec::new();
    let mut add = |name: &str, sections: &[&[u8]]| {
        let sections = sections.concat();
        let after = [&module[..], &sections].concat();
        cases.push(Case::binary(format!("at the end: {name}"), after));
        let before = [&module[..header], &sections, &module[header..]].concat();
        cases.push(Case::binary(format!("at the start: {name}"), before));
    };
    let names = |content: &[u8]| section(b"name", content);
    let good = names(&[1, 4, 1, 0, 1, b'f']);
    let bad = names(&[1, 4, 1, 0, 2, b'f']);
    add("good names", &[&good]);
    add("no names", &[&names(&[])]);
    add("a name beyond the subsection", &[&bad]);
    add("good names twice", &[&good, &good]);
    add("good, then bad names", &[&good, &bad]);
    add("bad, then good names", &[&bad, &good]);
    add(
        "names of unknown functions",
        &[&names(&[1, 4, 1, 99, 1, b'f'])],
    );
    add(
        "a name twice",
        &[&names(&[1, 7, 2, 0, 1, b'f', 0, 1, b'g'])],
    );
    add(
        "names in no order",
        &[&names(&[1, 7, 2, 1, 1, b'f', 0, 1, b'g'])],
    );
    add(
        "a name that is not UTF-8",
        &[&names(&[1, 4, 1, 0, 1, 0xff])],
    );
    add("an empty name", &[&names(&[1, 3, 1, 0, 0])]);
    add(
        "a subsection beyond the section",
        &[&names(&[1, 9, 1, 0, 1, b'f'])],
    );
    add(
        "a subsection with more than its names",
        &[&names(&[1, 5, 1, 0, 1, b'f', 0])],
    );
    add(
        "a subsection with less than its names",
        &[&names(&[1, 3, 1, 0, 1, b'f'])],
    );
    add(
        "more names than there are",
        &[&names(&[1, 4, 2, 0, 1, b'f'])],
    );
    add(
        "fewer names than there are",
        &[&names(&[1, 4, 0, 0, 1, b'f'])],
    );
    add("a subsection without a size", &[&names(&[1])]);
    add(
        "two subsections of functions",
        &[&names(&[1, 4, 1, 0, 1, b'f', 1, 4, 1, 1, 1, b'g'])],
    );
    add(
        "a bad second subsection of functions",
        &[&names(&[1, 4, 1, 0, 1, b'f', 1, 4, 1, 1, 2, b'g'])],
    );
    add("a bad module's name", &[&names(&[0, 2, 9, b'm'])]);
    add("bad names of locals", &[&names(&[2, 2, 9, 9])]);
    add("an unknown subsection", &[&names(&[99, 2, 9, 9])]);
    add(
        "an unknown subsection that is too long",
        &[&names(&[99, 3, 9, 9])],
    );
    add(
        "a long form of a size",
        &[&names(&[1, 0x84, 0x80, 0x80, 0x80, 0, 1, 0, 1, b'f'])],
    );
    add(
        "too long a form of a size",
        &[&names(&[1, 0x84, 0x80, 0x80, 0x80, 0x80, 0, 1, 0, 1, b'f'])],
    );
    add(
        "a large index",
        &[&names(&[1, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x03, 1, b'f'])],
    );
    add(
        "a larger index",
        &[&names(&[1, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x07, 1, b'f'])],
    );
    add(
        "the largest index",
        &[&names(&[1, 8, 1, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, b'f'])],
    );
    add(
        "a mangled name",
        &[&names(&[1, 9, 1, 0, 6, b'_', b'Z', b'1', b'f', b'v', b'v'])],
    );
    add("another section", &[&section(b"other", &[1, 2, 3])]);
    add("a section without a name", &[&section(b"", &[1, 2, 3])]);
    add(
        "a section whose name is not UTF-8",
        &[&section(&[0xff], &[])],
    );
    add("a section whose name is too long", &[&[0, 2, 9, b'a']]);
    add("an empty custom section", &[&[0, 0]]);
    add(
        "a precompiled module",
        &[&section(b"precompiled_v8", &[1, 2, 3])],
    );
    add(
        "a precompiled module, then bad names",
        &[&section(b"precompiled_v8", &[1]), &bad],
    );
    add(
        "a producers section that is bad",
        &[&section(b"producers", &[9, 9])],
    );
    add(
        "branch hints that are bad",
        &[&section(b"metadata.code.branch_hint", &[9, 9])],
    );
    add(
        "a dylink section that is bad",
        &[&section(b"dylink.0", &[9, 9])],
    );
    add(
        "a target_features section that is bad",
        &[&section(b"target_features", &[9, 9])],
    );
    add(
        "a sourceMappingURL that is bad",
        &[&section(b"sourceMappingURL", &[9, 9])],
    );
    add(
        "compilation hints that are bad",
        &[&section(b"compilationHints", &[9, 9])],
    );
    add(
        "instruction traces that are bad",
        &[&section(b"metadata.code.trace_inst", &[9, 9])],
    );
    add(
        "a linking section that is bad",
        &[&section(b"linking", &[9, 9])],
    );
    add(
        "a relocation section that is bad",
        &[&section(b"reloc.CODE", &[9, 9])],
    );
    add(
        "a component-type section that is bad",
        &[&section(b"component-type", &[9, 9])],
    );
    add(
        "an external_debug_info section that is bad",
        &[&section(b"external_debug_info", &[9, 9])],
    );
    add("a build_id that is bad", &[&section(b"build_id", &[9, 9])]);
    cases
}

fn bytes() -> Vec<Case> {
    let module = Case::with("").module;
    let mut cases = vec![
        Case::binary("no bytes", Vec::new()),
        Case::binary("a text", b"<html>".to_vec()),
        Case::binary("the magic number", module[..4].to_vec()),
        Case::binary("the header", module[..8].to_vec()),
        Case::binary("a byte too much", [&module[..], &[0]].concat()),
        Case::binary("a byte too few", module[..module.len() - 1].to_vec()),
        Case::binary("two modules", module.repeat(2)),
    ];
    let mut version = module.clone();
    version[4] = 2;
    cases.push(Case::binary("version 2", version));
    cases.push(Case::binary("a component", b"\0asm\x0d\0\x01\0".to_vec()));
    cases
}

pub fn cases() -> Vec<Case> {
    [custom_sections(), bytes()].into_iter().flatten().collect()
}
