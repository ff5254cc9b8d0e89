//! Reading Rust, as far as it takes to find what a program can say: words, marks and strings, without comments and
//! without tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// A piece of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Word(String),
    Mark(char),
    /// A string, as it means.
    Text(String),
}

/// One file.
pub(crate) struct Source {
    /// Below the project's directory.
    pub(crate) path: String,
    pub(crate) tokens: Vec<Token>,
    /// The texts of constants, of all files that were read with this one.
    constants: Rc<BTreeMap<String, String>>,
}

/// The sources below `directory` of the project, tests left out.
pub(crate) fn below(directory: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    collect(&root.join(directory), &mut files);
    files.sort();
    let is_tests = |path: &Path| path.to_string_lossy().ends_with("tests.rs");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        // They are last in a file.
        let code = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let path = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        Source { path, tokens: tokens(code), constants: Rc::default() }
    };
    let mut sources: Vec<Source> = files.into_iter().filter(|path| !is_tests(path)).map(read).collect();
    let constants = Rc::new(sources.iter().flat_map(|source| constants(&source.tokens)).collect());
    sources.iter_mut().for_each(|source| source.constants = Rc::clone(&constants));
    sources
}

/// The constants that are texts.
fn constants(tokens: &[Token]) -> Vec<(String, String)> {
    let of = |at: usize| match (&tokens[at], tokens.get(at + 1), tokens.get(at + 6)) {
        (Token::Word(word), Some(Token::Word(name)), Some(Token::Text(text))) if word == "const" => {
            Some((name.clone(), text.clone()))
        }
        _ => None,
    };
    // const NAME: &str = "text"
    (0..tokens.len()).filter_map(of).collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_file() {
        return files.push(path.to_owned());
    }
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.extension().is_some_and(|its| its == "rs") {
            collect(&path, files);
        }
    }
}

/// What `code` consists of.
pub(crate) fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        rest = if let Some(comment) = rest.strip_prefix("//") {
            comment.split_once('\n').map_or("", |(_, behind)| behind)
        } else if let Some((text, behind)) = string(rest) {
            tokens.push(Token::Text(text));
            behind
        } else if let Some(behind) = letter(rest) {
            behind
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            &rest[end..]
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Mark(first));
            }
            &rest[first.len_utf8()..]
        };
    }
    tokens
}

/// The string that `code` begins with.
fn string(code: &str) -> Option<(String, &str)> {
    let code = code.strip_prefix('b').unwrap_or(code);
    if let Some(raw) = code.strip_prefix('r') {
        let fence = raw.find(|c| c != '#').unwrap_or_default();
        let body = raw[fence..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(fence));
        return body.split_once(&end).map(|(text, behind)| (text.to_owned(), behind));
    }
    let body = code.strip_prefix('"')?;
    let mut text = String::new();
    let mut letters = body.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((text, &body[at + 1..])),
            '\\' => match letters.next()?.1 {
                // A line that goes on.
                '\n' => while letters.next_if(|(_, c)| c.is_whitespace()).is_some() {},
                'n' => text.push('\n'),
                escaped => text.push(escaped),
            },
            _ => text.push(letter),
        }
    }
    None
}

/// What is behind a letter in quotes, or behind the name of a lifetime.
fn letter(code: &str) -> Option<&str> {
    let body = code.strip_prefix('\'')?;
    let end = if body.starts_with('\\') { body[2..].find('\'').map(|at| at + 2) } else { body.find('\'') };
    match end {
        Some(end) if body.starts_with('\\') || body[..end].chars().count() == 1 => Some(&body[end + 1..]),
        Some(_) | None => Some(body),
    }
}

impl Source {
    /// The place behind what closes the bracket that stands at `open`.
    pub(crate) fn close(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().skip(open) {
            match token {
                Token::Mark('(' | '[' | '{') => depth += 1,
                Token::Mark(')' | ']' | '}') => depth -= 1,
                Token::Mark(_) | Token::Word(_) | Token::Text(_) => {}
            }
            if depth == 0 {
                return at + 1;
            }
        }
        self.tokens.len()
    }

    /// The strings between two places, and those of the constants that are named there.
    pub(crate) fn texts(&self, from: usize, to: usize) -> Vec<String> {
        let of = |token: &Token| match token {
            Token::Text(text) => Some(text.clone()),
            Token::Word(word)
                if word.len() > 2 && word.chars().all(|c| c.is_ascii_uppercase() || c == '_') =>
            {
                self.constant(word)
            }
            Token::Word(_) | Token::Mark(_) => None,
        };
        self.tokens[from..to].iter().filter_map(of).collect()
    }

    /// The text of a constant.
    pub(crate) fn constant(&self, name: &str) -> Option<String> {
        self.constants.get(name).cloned()
    }

    /// Whether these words and marks stand at `at`; a mark is a word of one letter here.
    pub(crate) fn has(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(number, wanted)| match self.tokens.get(at + number) {
            Some(Token::Word(found)) => found == wanted,
            Some(Token::Mark(found)) => wanted.len() == 1 && wanted.starts_with(*found),
            Some(Token::Text(_)) | None => false,
        })
    }

    /// From where to where the body of the function goes.
    pub(crate) fn body(&self, function: &str) -> Option<(usize, usize)> {
        let at = (0..self.tokens.len()).find(|at| self.has(*at, &["fn", function]))?;
        let open = (at..self.tokens.len()).find(|at| self.has(*at, &["{"]))?;
        Some((open, self.close(open)))
    }
}

/// Whether `line` holds what `template` says, whatever stands in the place of its braces.
pub(crate) fn is_in(line: &str, template: &str) -> bool {
    let mut rest = line;
    parts(template).iter().all(|part| match rest.split_once(part.as_str()) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// What stands between the braces of a template.
fn parts(template: &str) -> Vec<String> {
    let (mut parts, mut inside) = (vec![String::new()], false);
    let mut letters = template.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '{' | '}' if letters.next_if_eq(&letter).is_some() => parts.last_mut().unwrap().push(letter),
            '{' => inside = true,
            '}' => {
                inside = false;
                parts.push(String::new());
            }
            _ if inside => {}
            _ => parts.last_mut().unwrap().push(letter),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[test]
fn what_a_source_can_say_is_found_in_it() {
    let code = "fn f<'a>(x: &'a str) -> Fail { // Fail::failed(\"no\")\n\
                let c = ['\"', '\\'', 'x']; Fail::failed(format!(\"a \\\n   b {x} \\\"c\\\"\")).hint(REST) }\n\
                const REST: &str = r#\"say \"it\"\"#;";
    let tokens = tokens(code);
    let constants = Rc::new(constants(&tokens).into_iter().collect());
    let source = Source { path: String::new(), tokens, constants };
    let (open, close) = source.body("f").unwrap();
    assert_eq!(source.texts(open, close), ["a b {x} \"c\"", "say \"it\""]);
    assert!(is_in("error: a b 7 \"c\" d", "a b {x} \"c\"") && !is_in("a b 7 c", "a b {x} \"c\""));
}
