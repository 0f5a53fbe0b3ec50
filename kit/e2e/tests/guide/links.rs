//! Links between the guide's pages, to files, and to headings.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::markdown::{anchors, prose};

/// The targets of all links and pictures in a page.
fn targets(page: &str) -> Vec<String> {
    let prose = prose(page);
    let inline = prose.split("](").skip(1);
    inline
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect()
}

/// The broken links of a page, each with the page and the reason. Links to other sites are not
/// checked.
pub fn broken(page: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(page).with_context(|| format!("no {}", page.display()))?;
    let directory = page.parent().unwrap_or(Path::new("."));
    let mut broken = Vec::new();
    for target in targets(&text) {
        if target.starts_with("https://") {
            continue;
        }
        let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
        let file = if path.is_empty() {
            page.to_owned()
        } else {
            directory.join(path)
        };
        let problem = if !file.exists() {
            Some("no such file")
        } else if anchor.is_empty() {
            None
        } else {
            let headings = anchors(&fs::read_to_string(&file)?);
            let is_there = headings.iter().any(|heading| heading == anchor);
            (!is_there).then_some("no such heading")
        };
        broken.extend(problem.map(|problem| format!("{}: {target}: {problem}", page.display())));
    }
    Ok(broken)
}

#[test]
fn broken_links_are_found() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let page = directory.path().join("page.md");
    fs::write(
        &page,
        "# A b\n[good](#a-b) [good](page.md) [far](https://registry.example) [bad](#c) ![bad](d.svg)\n",
    )?;
    let found = broken(&page)?;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("#c: no such heading"), "{found:?}");
    assert!(found[1].contains("d.svg: no such file"), "{found:?}");
    Ok(())
}
