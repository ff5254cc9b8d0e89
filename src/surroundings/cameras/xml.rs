//! What cameras say, as XML: without entities of their own, and bounded.

use roxmltree::{Document, ParsingOptions};

pub(super) use roxmltree::Node;

/// Longest answer that is read, in bytes.
pub const TEXT_MAX: usize = 256 * 1024;

/// Most elements of an answer that are looked at.
const NODES_MAX: u32 = 16 * 1024;

/// Read a text. One that defines entities is none.
pub(super) fn parse(text: &str) -> Option<Document<'_>> {
    let text = text.trim_end_matches('\0').trim();
    let options = ParsingOptions { nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    (text.len() <= TEXT_MAX).then(|| Document::parse_with_options(text, options).ok()).flatten()
}

/// The first element of that name inside, in whatever name space: cameras disagree about those.
pub(super) fn find<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.descendants().find(|node| node.is_element() && node.tag_name().name() == name)
}

/// Its text.
pub(super) fn text(node: Node<'_, '_>, name: &str) -> Option<String> {
    Some(find(node, name)?.text()?.trim().to_owned())
}

/// A text of somebody else's, to stand in XML of ours.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
