//! Parses the parts of Markdown that the guide uses.

/// A fenced code block.
#[derive(Debug)]
pub struct CodeBlock {
    /// The info string after the opening fence.
    pub language: String,
    /// The lines between the fences, with their line ends.
    pub text: String,
}

/// All fenced code blocks of a page, in order.
pub fn code_blocks(page: &str) -> Vec<CodeBlock> {
    let mut code_blocks = Vec::new();
    let mut open: Option<CodeBlock> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(language), None) => {
                open = Some(CodeBlock {
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            (Some(_), Some(_)) => code_blocks.extend(open.take()),
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => (),
        }
    }
    code_blocks
}

/// A page without code blocks and inline code, which contain no links.
pub fn prose(page: &str) -> String {
    let mut is_code = false;
    let mut prose = String::new();
    for line in page.lines() {
        if line.starts_with("```") {
            is_code = !is_code;
        } else if !is_code && !line.starts_with("    ") {
            // Every second part is inline code.
            prose.extend(line.split('`').step_by(2));
            prose.push('\n');
        }
    }
    prose
}

/// The anchors of a page's headings, as code hosts generate them.
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

/// Removes leading white space, so that code can be shown with less indentation.
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
fn code_blocks_keep_their_lines() {
    let page = "a\n```diff\n+ b\n\n```\nc\n```rust\nd\n```\n";
    let code_blocks = code_blocks(page);
    assert_eq!(code_blocks.len(), 2, "{code_blocks:?}");
    assert_eq!(code_blocks[0].language, "diff");
    assert_eq!(code_blocks[0].text, "+ b\n\n");
    assert_eq!(code_blocks[1].text, "d\n");
}

#[test]
fn code_is_not_prose() {
    let page = "a `[b](c)` d\n```\n[e](f)\n```\n    [g](h)\n";
    assert_eq!(prose(page), "a  d\n");
}
