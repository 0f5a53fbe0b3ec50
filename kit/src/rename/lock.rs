//! A Cargo.lock whose package changed its name: Cargo takes one with `--locked` only if it is
//! sorted, as Cargo itself would write it. Nothing has to be asked for that.

use anyhow::{Result, bail};

use super::name::Name;

/// Makes sure that no other package has the new name.
///
/// # Errors
///
/// When one has it, or one whose crate is called the same in code.
pub fn ensure_free(lock: &str, from: &Name, to: &Name) -> Result<()> {
    let [_, wanted, ..] = to.spellings();
    for paragraph in packages(lock) {
        let name = name(paragraph);
        if name == from.to_string() || name.replace('-', "_") != wanted {
            continue;
        }
        let what = if paragraph.contains("\nsource = ") {
            "dependency"
        } else {
            "package of this repository"
        };
        bail!(
            "{name} is a {what}, so that Cargo could not tell it from a project called {to}; take \
             another name, such as my-{to}"
        );
    }
    Ok(())
}

/// The lock in Cargo's order. Packages and dependencies of one name keep theirs.
pub fn sorted(lock: &str) -> String {
    let mut packages: Vec<_> = packages(lock).map(with_sorted_dependencies).collect();
    packages.sort_by(|one, other| name(one).cmp(name(other)));
    let mut packages = packages.into_iter();
    let paragraphs: Vec<_> = lock
        .split("\n\n")
        .map(|paragraph| {
            if is_package(paragraph) {
                packages.next().unwrap_or_default()
            } else {
                paragraph.to_owned()
            }
        })
        .collect();
    // The last paragraph alone has a line's end, and may have moved.
    let text: Vec<_> = paragraphs.iter().map(|text| text.trim_end()).collect();
    text.join("\n\n") + "\n"
}

fn packages(lock: &str) -> impl Iterator<Item = &str> {
    lock.split("\n\n").filter(|paragraph| is_package(paragraph))
}

fn is_package(paragraph: &str) -> bool {
    paragraph.starts_with("[[package]]")
}

fn name(paragraph: &str) -> &str {
    let name = paragraph
        .lines()
        .find_map(|line| line.strip_prefix("name = "));
    name.unwrap_or_default().trim_matches('"')
}

fn with_sorted_dependencies(paragraph: &str) -> String {
    let mut lines: Vec<_> = paragraph.lines().collect();
    let is_dependency = |line: &&str| line.starts_with(" \"");
    if let Some(first) = lines.iter().position(is_dependency)
        && let Some(dependencies) = lines.get_mut(first..)
    {
        let count = dependencies
            .iter()
            .take_while(|line| is_dependency(line))
            .count();
        let (dependencies, _) = dependencies.split_at_mut(count);
        dependencies.sort_by_key(|line| line.trim_matches([' ', '"', ',']).split(' ').next());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"# Written by Cargo.
version = 4

[[package]]
name = "z"
version = "0.1.0"
dependencies = [
 "serde",
 "syn 1.0.0",
 "syn 2.0.0",
 "a",
]

[[package]]
name = "serde"
version = "1.0.0"
source = "registry"

[[package]]
name = "syn"
version = "9.0.0"
source = "registry"

[[package]]
name = "syn"
version = "10.0.0"
source = "registry"

[[package]]
name = "a"
version = "0.1.0"
"#;

    #[test]
    fn packages_and_dependencies_are_sorted_by_name_alone() {
        let sorted = sorted(LOCK);
        let names: Vec<_> = packages(&sorted).map(name).collect();
        assert_eq!(names, ["a", "serde", "syn", "syn", "z"]);
        let [_, _, older, newer, z] = packages(&sorted).collect::<Vec<_>>()[..] else {
            panic!("not five packages: {sorted}");
        };
        assert!(older.contains("9.0.0") && newer.contains("10.0.0"));
        assert!(z.ends_with("[\n \"a\",\n \"serde\",\n \"syn 1.0.0\",\n \"syn 2.0.0\",\n]\n"));
        assert!(
            sorted.starts_with("# Written by Cargo.\nversion = 4\n\n[[package]]\nname = \"a\"")
        );
    }

    #[test]
    fn what_is_sorted_stays_as_it_is() {
        for lock in [
            include_str!("../../../Cargo.lock"),
            include_str!("../../../fuzz/Cargo.lock"),
            include_str!("../../fuzz/Cargo.lock"),
            "",
        ] {
            assert_eq!(sorted(lock).trim_end(), lock.trim_end());
        }
    }

    #[test]
    fn a_name_that_another_package_has_is_refused() -> Result<()> {
        for (name, reason) in [("serde", "is a dependency"), ("a", "is a package of this")] {
            let error = ensure_free(LOCK, &Name::new("z")?, &Name::new(name)?);
            let error = error.expect_err(name).to_string();
            assert!(error.contains(reason), "{error}");
        }
        ensure_free(LOCK, &Name::new("z")?, &Name::new("b")?)
    }
}
