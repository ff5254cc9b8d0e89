//! Text as `mdoc` wants it.

/// Longest line that is written, in bytes; `mandoc -Tlint` complains of more than 80.
const LINE_MAX: usize = 78;

/// A word as an argument of a macro: a word that is a macro itself, or begins with what means something, is protected.
pub(crate) fn argument(word: &str) -> String {
    let escaped = word.replace('\\', "\\e").replace('"', "\\(dq");
    // Macros are two or three characters long, the first a capital: Ar, Fl, Brq.
    let like_a_macro = (2..=3).contains(&word.len())
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_alphanumeric());
    if like_a_macro || word.is_empty() { format!("\\&{escaped}") } else { escaped }
}

/// Prose of one paragraph: sentences on lines of their own, filled.
pub(crate) fn prose(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() {
        return String::new();
    }
    let stop = if text.ends_with(['.', '?', '!', ':']) { "" } else { "." };
    let text = quoted(&text.split_whitespace().collect::<Vec<_>>().join(" ").replace('\\', "\\e"));
    let text = format!("{text}{stop}");
    let ends = [". ", "? ", "! "];
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = ends.iter().filter_map(|end| rest.find(end)).min() {
        out.push_str(&filled(&rest[..=at]));
        rest = rest[at + 1..].trim_start();
    }
    out.push_str(&filled(rest));
    out
}

/// What stands between backticks gets quotation marks.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for (index, piece) in text.split('`').enumerate() {
        if index > 0 {
            out.push_str(if index % 2 == 1 { "\\(oq" } else { "\\(cq" });
        }
        out.push_str(piece);
    }
    out
}

fn filled(sentence: &str) -> String {
    let mut out = String::new();
    let mut line = String::new();
    for word in sentence.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > LINE_MAX {
            push_line(&mut out, &line);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    push_line(&mut out, &line);
    out
}

/// A line that begins like a request is text all the same.
fn push_line(out: &mut String, line: &str) {
    if line.starts_with(['.', '\'']) {
        out.push_str("\\&");
    }
    out.push_str(line);
    out.push('\n');
}

/// What the escapes of a text stand for. The backslash comes last, so that none is read twice.
pub(crate) fn plain(text: &str) -> String {
    const ESCAPES: [(&str, &str); 8] = [
        ("\\(lB", "["),
        ("\\(rB", "]"),
        ("\\(dq", "\""),
        ("\\(aq", "'"),
        ("\\(oq", "'"),
        ("\\-", "-"),
        ("\\&", ""),
        ("\\e", "\\"),
    ];
    ESCAPES.iter().fold(text.to_owned(), |text, (escape, means)| text.replace(escape, means))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_would_mean_something_are_protected() {
        assert_eq!(argument("Ar"), "\\&Ar");
        assert_eq!(argument("AND"), "\\&AND");
        assert_eq!(argument("home"), "home");
        assert_eq!(argument("a\\b"), "a\\eb");
    }

    #[test]
    fn sentences_begin_on_lines_of_their_own_and_end_with_a_stop() {
        assert_eq!(prose("One. Two, `x = 1`? Three"), "One.\nTwo, \\(oqx = 1\\(cq?\nThree.\n");
        assert_eq!(prose(".hidden"), "\\&.hidden.\n");
        let long = "word ".repeat(40);
        assert!(prose(&long).lines().all(|line| line.len() <= LINE_MAX));
    }

    #[test]
    fn escapes_mean_what_they_stand_for() {
        assert_eq!(plain("\\(dqa\\(dq \\-\\-b \\ec"), "\"a\" --b \\c");
    }
}
