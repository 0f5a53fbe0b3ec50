//! Custom sections, and bytes that are not a valid module.

use crate::case::ModuleCase;

/// Contents of name sections. Subsection 1 has the function names: their number, and for each an
/// index, the length of the name, and the name.
const NAMES: [(&str, &[u8]); 26] = [
    ("no names", &[]),
    ("a name", b"\x01\x04\x01\x00\x01f"),
    ("a mangled name", b"\x01\x09\x01\x00\x06_Z1fvv"),
    ("an empty name", b"\x01\x03\x01\x00\x00"),
    ("a name that is not UTF-8", b"\x01\x04\x01\x00\x01\xff"),
    ("a name beyond the subsection", b"\x01\x04\x01\x00\x02f"),
    ("a name of an unknown function", b"\x01\x04\x01\x63\x01f"),
    ("a function twice", b"\x01\x07\x02\x00\x01f\x00\x01g"),
    ("functions in no order", b"\x01\x07\x02\x01\x01f\x00\x01g"),
    ("a subsection beyond the section", b"\x01\x09\x01\x00\x01f"),
    ("bytes after the names", b"\x01\x05\x01\x00\x01f\x00"),
    ("a subsection that ends in a name", b"\x01\x03\x01\x00\x01f"),
    ("fewer names than promised", b"\x01\x04\x02\x00\x01f"),
    ("more names than promised", b"\x01\x04\x00\x00\x01f"),
    ("a subsection without a length", b"\x01"),
    (
        "two subsections",
        b"\x01\x04\x01\x00\x01f\x01\x04\x01\x01\x01g",
    ),
    (
        "a wrong second subsection",
        b"\x01\x04\x01\x00\x01f\x01\x04\x01\x01\x02g",
    ),
    ("a wrong name of the module", b"\x00\x02\x09m"),
    ("wrong names of locals", b"\x02\x02\x09\x09"),
    ("an unknown subsection", b"\x63\x02\x09\x09"),
    (
        "an unknown subsection that is too long",
        b"\x63\x03\x09\x09",
    ),
    (
        "a length in five bytes",
        b"\x01\x84\x80\x80\x80\x00\x01\x00\x01f",
    ),
    (
        "a length in six bytes",
        b"\x01\x84\x80\x80\x80\x80\x00\x01\x00\x01f",
    ),
    (
        "an index of 30 bits",
        b"\x01\x08\x01\xff\xff\xff\xff\x03\x01f",
    ),
    (
        "an index of 31 bits",
        b"\x01\x08\x01\xff\xff\xff\xff\x07\x01f",
    ),
    (
        "an index of 32 bits",
        b"\x01\x08\x01\xff\xff\xff\xff\x0f\x01f",
    ),
];

/// Names of other custom sections. Tools or V8 read some of them, but Envoy ignores them.
const OTHERS: [&[u8]; 16] = [
    b"",
    b"other",
    b"\xff",
    b".debug_info",
    b"build_id",
    b"compilationHints",
    b"component-type",
    b"dylink.0",
    b"external_debug_info",
    b"linking",
    b"metadata.code.branch_hint",
    b"metadata.code.trace_inst",
    b"precompiled_v8",
    b"producers",
    b"sourceMappingURL",
    b"target_features",
];

fn section(name: &[u8], content: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("a short section");
    let body = [&[length(name)], name, content].concat();
    [&[0, length(&body)], &body[..]].concat()
}

fn custom_sections() -> Vec<ModuleCase> {
    const HEADER: usize = 8;
    let module = ModuleCase::with("").module;
    let (header, rest) = module.split_at(HEADER);
    let mut cases = Vec::new();
    let mut add = |name: &str, sections: &[u8]| {
        let before = [header, sections, rest].concat();
        cases.push(ModuleCase::binary(
            format!("{name}, before the rest"),
            before,
        ));
        let after = [header, rest, sections].concat();
        cases.push(ModuleCase::binary(format!("{name}, after the rest"), after));
    };
    for (name, content) in NAMES {
        add(name, &section(b"name", content));
    }
    for name in OTHERS {
        let description = format!("section {:?}", String::from_utf8_lossy(name));
        add(&description, &section(name, &[9, 9]));
    }
    let good = section(b"name", b"\x01\x04\x01\x00\x01f");
    let wrong = section(b"name", b"\x01\x04\x01\x00\x02f");
    let precompiled = section(b"precompiled_v8", &[9, 9]);
    add("names twice", &good.repeat(2));
    add("names, then wrong ones", &[&good[..], &wrong].concat());
    add(
        "wrong names, then right ones",
        &[&wrong[..], &good].concat(),
    );
    add(
        "a precompiled module and wrong names",
        &[&precompiled[..], &wrong].concat(),
    );
    add("a section whose name is too long", &[0, 2, 9, b'a']);
    add("a section without a name", &[0, 0]);
    cases
}

fn invalid() -> Vec<ModuleCase> {
    let module = ModuleCase::with("").module;
    let mut other_version = module.clone();
    other_version[4] = 2;
    let mut cases = vec![
        ModuleCase::binary("no bytes", Vec::new()),
        ModuleCase::binary("text", b"<html></html>".to_vec()),
        ModuleCase::binary("the first bytes", module[..4].to_vec()),
        ModuleCase::binary("the header", module[..8].to_vec()),
        ModuleCase::binary("a byte more", [&module[..], &[0]].concat()),
        ModuleCase::binary("a byte less", module[..module.len() - 1].to_vec()),
        ModuleCase::binary("two modules", module.repeat(2)),
        ModuleCase::binary("another version", other_version),
        ModuleCase::binary("a component", b"\0asm\x0d\0\x01\0".to_vec()),
    ];
    for fields in [
        "(func (result i32))",
        "(func (local.get 9) drop)",
        r#"(export "e" (func 99))"#,
        r#"(func (export "e")) (func (export "e"))"#,
        "(memory 2 1)",
        "(memory 65537)",
        "(memory 1 65537)",
        "(memory 1 shared)",
        "(table 2 1 funcref)",
        "(start 99)",
        "(func $f (param i32)) (start $f)",
        "(elem (i32.const 0) func 0)",
    ] {
        cases.push(ModuleCase::with(fields));
    }
    cases
}

/// Names of exports that proxies ignore. Envoy crashes if one ends with NUL.
fn names() -> Vec<ModuleCase> {
    [
        ("", false),
        (" ", false),
        ("é", false),
        ("proxy_", false),
        ("proxy_on_", false),
        ("proxy_on_unknown", false),
        ("proxy_on_log ", false),
        ("\\00e", false),
        ("e\\00", true),
    ]
    .map(|(name, crashes)| {
        ModuleCase::with(&format!(r#"(func (export "{name}"))"#)).crashing(crashes)
    })
    .into()
}

pub fn cases() -> Vec<ModuleCase> {
    [custom_sections(), invalid(), names()]
        .into_iter()
        .flatten()
        .collect()
}
