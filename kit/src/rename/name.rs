//! What a project can be called, and how its name is spelled.

use std::fmt;

use anyhow::{Result, ensure};

/// The longest label that Kubernetes takes (RFC 1123), in bytes.
const LONGEST: usize = 63;

/// Names that Cargo keeps for the libraries of Rust, and for its own folders under `target/`.
const CARGO: [&str; 9] = [
    "alloc",
    "build",
    "core",
    "deps",
    "examples",
    "incremental",
    "proc-macro",
    "std",
    "test",
];

/// Keywords, which no crate can be called (The Rust Reference, "Keywords").
const KEYWORDS: [&str; 51] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl",
    "in", "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "self", "static", "struct", "super", "trait", "true", "try", "type", "typeof",
    "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
];

/// Names that Windows keeps for devices, with COM1 to COM9 and LPT1 to LPT9.
const DEVICES: [&str; 4] = ["aux", "con", "nul", "prn"];

/// A name that Cargo, registries and Kubernetes take: lower-case words with dashes between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

impl Name {
    /// A new name.
    ///
    /// # Errors
    ///
    /// When something that is to be called so cannot be; the message says what and why.
    pub fn new(name: &str) -> Result<Self> {
        ensure_written_well(name)?;
        ensure!(
            name.len() <= LONGEST,
            "{name:?} has {} letters; Kubernetes takes names of up to {LONGEST}",
            name.len()
        );
        ensure!(
            !KEYWORDS.contains(&name),
            "{name:?} is a keyword of Rust, so no crate can be called that; take my-{name}, for example"
        );
        ensure!(
            !CARGO.contains(&name),
            "{name:?} is a name that Cargo keeps for itself; take my-{name}, for example"
        );
        ensure!(
            !is_device(name),
            "{name:?} is a device on Windows, so no file or folder there can be called that; take \
             my-{name}, for example"
        );
        Ok(Self(name.to_owned()))
    }

    /// The name that a package has.
    ///
    /// # Errors
    ///
    /// When it is not written as a new name has to be.
    pub fn of_package(name: &str) -> Result<Self> {
        ensure_written_well(name).map_err(|error| {
            error.context("the package's present name, in Cargo.toml, is no name to start from")
        })?;
        Ok(Self(name.to_owned()))
    }

    /// Whether there is nothing in it that tells it from an ordinary word.
    pub fn is_one_word(&self) -> bool {
        !self.0.contains('-')
    }

    /// As packages, images and files are called, as modules and variables in code, as constants,
    /// and as types; always in this order.
    pub fn spellings(&self) -> [String; 4] {
        let snake = self.0.replace('-', "_");
        let pascal = self.0.split('-').map(capitalized).collect();
        [self.0.clone(), snake.clone(), snake.to_uppercase(), pascal]
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Crates, images and Kubernetes each take more than this, and only this in common.
fn ensure_written_well(name: &str) -> Result<()> {
    ensure!(
        !name.contains('_'),
        "{name:?} has an underscore, which Kubernetes does not take; write {:?}, and the module's name \
         gets the underscores",
        name.replace('_', "-")
    );
    let words_are_well = name.split('-').all(|word| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    });
    ensure!(
        words_are_well && name.starts_with(|first: char| first.is_ascii_lowercase()),
        "{name:?} is no name for a crate, an image and a Kubernetes resource alike: it takes a-z and \
         0-9, with single dashes between words, and begins with a letter"
    );
    Ok(())
}

fn is_device(name: &str) -> bool {
    let numbered = |kind| {
        name.strip_prefix(kind)
            .is_some_and(|rest| matches!(rest.as_bytes(), [b'1'..=b'9']))
    };
    DEVICES.contains(&name) || numbered("com") || numbered("lpt")
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_four_spellings() -> Result<()> {
        let expected = ["a-b2-cd", "a_b2_cd", "A_B2_CD", "AB2Cd"];
        assert_eq!(Name::new("a-b2-cd")?.spellings(), expected);
        Ok(())
    }

    #[test]
    fn what_is_no_name_is_refused_with_the_reason() {
        let long = "a".repeat(64);
        for (name, reason) in [
            ("", "is no name"),
            ("-", "is no name"),
            ("-a", "is no name"),
            ("a-", "is no name"),
            ("a--b", "is no name"),
            ("1a", "is no name"),
            ("A", "is no name"),
            ("a b", "is no name"),
            ("a.b", "is no name"),
            ("a/b", "is no name"),
            ("../a", "is no name"),
            ("a\n", "is no name"),
            ("naïve", "is no name"),
            ("a_b", "write \"a-b\""),
            (long.as_str(), "up to 63"),
            ("async", "keyword"),
            ("self", "keyword"),
            ("test", "Cargo"),
            ("core", "Cargo"),
            ("proc-macro", "Cargo"),
            ("build", "Cargo"),
            ("nul", "Windows"),
            ("com1", "Windows"),
        ] {
            let error = Name::new(name).expect_err(name).to_string();
            assert!(error.contains(reason), "{name:?}: {error}");
        }
    }

    #[test]
    fn what_is_a_name_everywhere_is_taken() {
        for name in ["a", "com", "com10", "a-1", "one-two-3", &"a".repeat(63)] {
            assert!(Name::new(name).is_ok(), "{name}");
        }
    }
}
