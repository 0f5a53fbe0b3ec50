//! Tests of all tables.

use std::collections::HashSet;

use crate::{AbiVersion, CALLBACKS, EnvoyVersion, Function, HOST_CALLS, WASI_FUNCTIONS};

const TABLES: [&[Function]; 3] = [HOST_CALLS, WASI_FUNCTIONS, CALLBACKS];

/// The headings of the specification that define functions.
const SECTIONS: [&str; 21] = [
    "Integration",
    "Memory management",
    "Context lifecycle",
    "Configuration",
    "Logging",
    "Clocks",
    "Timers",
    "Randomness",
    "Environment variables",
    "Buffers",
    "HTTP fields",
    "Common HTTP and TCP stream operations",
    "TCP streams",
    "HTTP streams",
    "HTTP calls",
    "gRPC calls",
    "Shared Key-Value Store",
    "Shared Queues",
    "Metrics",
    "Properties",
    "Foreign function interface (FFI)",
];

fn functions() -> impl Iterator<Item = &'static Function> {
    TABLES.into_iter().flatten()
}

#[test]
fn names_are_unique_in_each_version() {
    for table in TABLES {
        for version in AbiVersion::ALL {
            let mut names = HashSet::new();
            for function in table.iter().filter(|function| function.is_in(*version)) {
                assert!(names.insert(function.name), "{version} {}", function.name);
            }
        }
    }
}

#[test]
fn every_function_is_in_at_least_one_version() {
    for function in functions() {
        assert!(!function.versions.is_empty(), "{}", function.name);
        let is_ascending = function.versions.is_sorted_by(|left, right| left < right);
        assert!(is_ascending, "{}", function.name);
    }
}

#[test]
fn functions_of_the_same_name_have_the_same_release_and_section() {
    for table in TABLES {
        for left in table {
            for right in table.iter().filter(|right| right.name == left.name) {
                assert_eq!(left.since, right.since, "{}", left.name);
                assert_eq!(left.section, right.section, "{}", left.name);
            }
        }
    }
}

#[test]
fn no_release_is_older_than_the_oldest() {
    for function in functions() {
        assert!(function.since >= EnvoyVersion::OLDEST, "{}", function.name);
    }
}

#[test]
fn sections_are_headings_of_the_specification() {
    for function in functions() {
        let Some(section) = function.section else {
            continue;
        };
        let is_known = SECTIONS.contains(&section) || section == "Unimplemented WASI functions";
        assert!(is_known, "{}: {section}", function.name);
    }
    for section in SECTIONS {
        let is_used = functions().any(|function| function.section == Some(section));
        assert!(is_used, "{section}");
    }
}

#[test]
fn parameter_names_are_unique_identifiers() {
    for function in functions() {
        let mut names = HashSet::new();
        for parameter in function.signature.parameters {
            let name = parameter.name;
            let is_identifier = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(is_identifier, "{} {name}", function.name);
            assert!(names.insert(name), "{} {name}", function.name);
        }
    }
}

#[test]
fn addresses_and_sizes_have_32_bits() {
    for function in functions() {
        for parameter in function.signature.parameters {
            let is_address = ["return_", "buffer_", "data_"]
                .iter()
                .any(|prefix| parameter.name.starts_with(prefix))
                || parameter.name.ends_with("_data");
            if is_address {
                let width = parameter.value_type.to_string();
                assert_eq!(width, "i32", "{} {}", function.name, parameter.name);
            }
        }
    }
}
