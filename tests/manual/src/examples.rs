//! The commands that a page shows under `EXAMPLES`.

use crate::mdoc::plain;

/// The commands of a page's examples, in order: `.Dl $ COMMAND`, or a line `$ COMMAND` of a display.
pub fn of_page(page: &str) -> Vec<String> {
    let section = page.split("\n.Sh ").find(|section| section.starts_with("EXAMPLES\n")).unwrap_or_default();
    let commands =
        section.lines().filter_map(|line| line.strip_prefix(".Dl ").unwrap_or(line).strip_prefix("$ "));
    commands.map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_the_section_are_found_and_no_others() {
        let page = ".Sh NAME\n.Dl $ not this\n.Sh EXAMPLES\nSay:\n.Dl $ tool \\-x\n.Bd -literal\n$ a | b\nout\n.Ed\n.Sh SEE ALSO\n\
                    .Dl $ nor this\n";
        assert_eq!(of_page(page), ["tool -x", "a | b"]);
    }
}
