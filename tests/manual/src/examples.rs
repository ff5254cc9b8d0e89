//! The commands that a page shows under `EXAMPLES`, and those that the README shows.

use crate::mdoc::plain;

/// The commands of a page's examples, in order: `.Dl $ COMMAND`, or a line `$ COMMAND` of a display.
pub fn of_page(page: &str) -> Vec<String> {
    let section = page.split("\n.Sh ").find(|section| section.starts_with("EXAMPLES\n")).unwrap_or_default();
    let commands =
        section.lines().filter_map(|line| line.strip_prefix(".Dl ").unwrap_or(line).strip_prefix("$ "));
    commands.map(plain).collect()
}

/// The commands of a text in Markdown, by section: lines `$ COMMAND` between fences. What stands before the first section
/// is in one without a title.
pub fn of_markdown(text: &str) -> Vec<(String, Vec<String>)> {
    let mut sections = vec![(String::new(), Vec::new())];
    let mut fenced = false;
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if let Some(title) = line.strip_prefix("## ").filter(|_| !fenced) {
            sections.push((title.to_owned(), Vec::new()));
        } else if let (Some(command), Some((_, commands))) = (line.strip_prefix("$ "), sections.last_mut())
            && fenced
        {
            commands.push(command.to_owned());
        }
    }
    sections.retain(|(_, commands)| !commands.is_empty());
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_markdown_are_those_between_fences() {
        let text =
            "# t\n```\n$ one\nout\n```\n$ not this\n## Next\n## Empty\n## Last\n```\n$ two # why\n```\n";
        let expected = [("", "one"), ("Last", "two # why")];
        let expected = expected.map(|(title, command)| (title.to_owned(), vec![command.to_owned()]));
        assert_eq!(of_markdown(text), expected);
    }

    #[test]
    fn the_commands_of_the_section_are_found_and_no_others() {
        let page = ".Sh NAME\n.Dl $ not this\n.Sh EXAMPLES\nSay:\n.Dl $ tool \\-x\n.Bd -literal\n$ a | b\nout\n.Ed\n.Sh SEE ALSO\n\
                    .Dl $ nor this\n";
        assert_eq!(of_page(page), ["tool -x", "a | b"]);
    }
}
