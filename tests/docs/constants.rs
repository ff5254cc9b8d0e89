//! Constants as the sources have them: found by name in a file and worked out.

use std::fs;

use crate::pages::root;

/// A constant's value: plain numbers as they are, durations in milliseconds.
pub(crate) fn value(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    in_text(&text, name).unwrap_or_else(|| panic!("no constant {name} that can be worked out in {file}"))
}

fn in_text(text: &str, name: &str) -> Option<u64> {
    let begin = format!("const {name}: ");
    let rest = text.split(&begin).nth(1)?;
    let (_, rest) = rest.split_once('=')?;
    let (expression, _) = rest.split_once(';')?;
    let mut tokens = tokens(expression);
    tokens.reverse();
    let value = Sum { text, tokens }.whole()?;
    Some(value)
}

/// Names (with their `::`), numbers, and the operators that constants are made with.
fn tokens(expression: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in expression.chars() {
        if c.is_alphanumeric() || matches!(c, '_' | ':') {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        match c {
            '<' if tokens.last().is_some_and(|last| last == "<") => {
                tokens.pop();
                tokens.push("<<".to_owned());
            }
            c if c.is_whitespace() => {}
            c => tokens.push(c.to_string()),
        }
    }
    tokens.extend((!word.is_empty()).then_some(word));
    tokens
}

/// What is left of an expression, its next token last.
struct Sum<'a> {
    text: &'a str,
    tokens: Vec<String>,
}

impl Sum<'_> {
    fn whole(mut self) -> Option<u64> {
        let value = self.shifted()?;
        self.tokens.is_empty().then_some(value)
    }

    fn takes(&mut self, token: &str) -> bool {
        let next = self.tokens.last().is_some_and(|next| next == token);
        if next {
            self.tokens.pop();
        }
        next
    }

    fn shifted(&mut self) -> Option<u64> {
        let mut value = self.added()?;
        while self.takes("<<") {
            value <<= self.added()?;
        }
        Some(value)
    }

    fn added(&mut self) -> Option<u64> {
        let mut value = self.multiplied()?;
        loop {
            if self.takes("+") {
                value += self.multiplied()?;
            } else if self.takes("-") {
                value -= self.multiplied()?;
            } else {
                return Some(value);
            }
        }
    }

    fn multiplied(&mut self) -> Option<u64> {
        let mut value = self.single()?;
        while self.takes("*") {
            value *= self.single()?;
        }
        Some(value)
    }

    fn single(&mut self) -> Option<u64> {
        let token = self.tokens.pop()?;
        let unit = match token.as_str() {
            "(" => 1,
            "Duration::from_secs" if self.takes("(") => 1000,
            "Duration::from_millis" if self.takes("(") => 1,
            _ => {
                let number = token.replace('_', "").parse().ok();
                return number.or_else(|| in_text(self.text, &token));
            }
        };
        let value = self.shifted()?;
        self.takes(")").then_some(value * unit)
    }
}

#[test]
fn constants_are_worked_out_as_the_compiler_does() {
    let text = "
        pub const ROOM: usize = 32 * 1024;
        const LEFT: usize = ROOM - 512;
        /// const ROOM: not this one
        pub(crate) const LIFE: Duration = Duration::from_secs(2 * 3600 + 4 * 60);
        const SHIFT: u32 = 2 << 20;
        const CALL: usize = size_of::<u64>();
    ";
    let value = |name| in_text(text, name);
    assert_eq!((value("LEFT"), value("SHIFT")), (Some(32_256), Some(2_097_152)));
    assert_eq!(value("LIFE"), Some(7_440_000));
    assert_eq!((value("CALL"), value("NONE")), (None, None));
}
