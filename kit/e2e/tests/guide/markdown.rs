//! As much of Markdown as the guide uses.

/// A block of code between fences.
#[derive(Debug)]
pub struct Block {
    /// What stands behind the opening fence.
    pub language: String,
    /// The lines between the fences, each with its end.
    pub text: String,
}

/// All fenced blocks of a page, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(language), None) => {
                open = Some(Block {
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => (),
        }
    }
    blocks
}

/// A page without its fenced blocks and its code between backticks, in which nothing is a link.
pub fn prose(page: &str) -> String {
    let mut is_code = false;
    let mut prose = String::new();
    for line in page.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code && !line.starts_with("    ") {
            // Every second part is between backticks.
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

/// The anchors of a page's headings, as code hosts make them.
pub fn anchors(page: &str) -> Vec<String> {
    let mut is_code = false;
    let mut anchors = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        }
        let heading = line.trim_start_matches('#').strip_prefix(' ');
        if let (true, false, Some(heading)) = (line.starts_with('#'), is_code, heading) {
            let kept = heading
                .chars()
                .filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            anchors.push(kept.collect::<String>().to_lowercase().replace(' ', "-"));
        }
    }
    anchors
}

/// Lines without the white space at their beginning, so that code can be shown less far in.
pub fn unindented(code: &str) -> String {
    let lines: Vec<&str> = code.lines().map(str::trim_start).collect();
    lines.join("\n")
}

#[test]
fn anchors_are_those_of_code_hosts() {
    let page = "# A `b`, c?\n```\n# no\n```\n## x_y: *z*\n";
    assert_eq!(anchors(page), ["a-b-c", "x_y-z"]);
}

#[test]
fn blocks_keep_their_lines() {
    let page = "a\n```diff\n+ b\n\n```\nc\n```rust\nd\n```\n";
    let blocks = blocks(page);
    assert_eq!(blocks.len(), 2, "{blocks:?}");
    assert_eq!(blocks[0].language, "diff");
    assert_eq!(blocks[0].text, "+ b\n\n");
    assert_eq!(blocks[1].text, "d\n");
}

#[test]
fn code_is_no_prose() {
    let page = "a `[b](c)` d\n```\n[e](f)\n```\n    [g](h)\n";
    assert_eq!(prose(page), "a  d\n");
}
