//! A line of usage, as clap writes it, in macros.

use clap::Arg;

use crate::mdoc::argument;
use crate::parts::{placeholder, short};

/// Those of `options` that the usage does not name: what `[OPTIONS]` stands for in it.
pub(crate) fn unnamed<'a>(usage: &str, options: Vec<&'a Arg>) -> Vec<&'a Arg> {
    let words: Vec<&str> = usage.split(|c: char| c.is_whitespace() || "<>[]|".contains(c)).collect();
    let named = |option: &Arg| {
        let name = option.get_long().map(|name| format!("--{name}"));
        name.is_some_and(|name| words.contains(&name.as_str()))
    };
    options.into_iter().filter(|option| !named(option)).collect()
}

/// `line` as a synopsis of the command called `path`, with `options` in the place of `[OPTIONS]`.
pub(crate) fn synopsis(line: &str, path: &str, options: &[&Arg]) -> String {
    let rest = line.strip_prefix(path).unwrap_or(line);
    let (program, verbs) = path.split_once(' ').unwrap_or((path, ""));
    let verbs = if verbs.is_empty() { String::new() } else { format!(" Cm {verbs}") };
    let mut out = format!(".Nm {program}{verbs}\n");
    let mut tokens = tokens(rest).into_iter().peekable();
    // What closes the groups that are open.
    let mut open: Vec<&str> = Vec::new();
    while let Some(token) = tokens.next() {
        let line = match token {
            Token::Options => {
                for option in options {
                    out.push_str(&format!(".Op {}\n", short(option)));
                }
                continue;
            }
            Token::Open(mark) => {
                let (begin, end) = if mark == '[' { (".Oo", ".Oc") } else { (".Bro", ".Brc") };
                open.push(end);
                begin.to_owned()
            }
            Token::Close => open.pop().unwrap_or_default().to_owned(),
            Token::Bar => "|".to_owned(),
            Token::Value(name) => format!(".Ar {}", placeholder(&name)),
            Token::Flag(name) => format!(".Fl {name}"),
            Token::Word(word) => format!(".Cm {}", argument(&word)),
        };
        out.push_str(&line);
        if tokens.next_if(|next| matches!(next, Token::Word(word) if word == "...")).is_some() {
            out.push_str(" ...");
        }
        out.push('\n');
    }
    out
}

#[derive(Debug, PartialEq)]
enum Token {
    /// `[OPTIONS]`.
    Options,
    Open(char),
    Close,
    Bar,
    /// `NAME`, with or without brackets of its own.
    Value(String),
    /// `--name`, without its first hyphen.
    Flag(String),
    Word(String),
}

fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("[OPTIONS]") {
            out.push(Token::Options);
            rest = after.trim_start();
            continue;
        }
        if let Some((name, after)) = bracketed(rest) {
            out.push(Token::Value(name.to_owned()));
            rest = after.trim_start();
            continue;
        }
        let single = match first {
            '[' | '<' => Some(Token::Open(first)),
            ']' | '>' => Some(Token::Close),
            '|' => Some(Token::Bar),
            _ => None,
        };
        if let Some(token) = single {
            out.push(token);
            rest = rest[1..].trim_start();
            continue;
        }
        if let Some(after) = rest.strip_prefix("...") {
            out.push(Token::Word("...".to_owned()));
            rest = after.trim_start();
            continue;
        }
        let end = rest.find([' ', '|', '<', '>', '[', ']']).unwrap_or(rest.len());
        let end = rest[..end].find("...").unwrap_or(end);
        let (word, after) = rest.split_at(end);
        out.push(match word.strip_prefix('-') {
            Some(flag) if !flag.is_empty() => Token::Flag(flag.to_owned()),
            Some(_) | None if is_placeholder(word) => Token::Value(word.to_owned()),
            Some(_) | None => Token::Word(word.to_owned()),
        });
        rest = after.trim_start();
    }
    out
}

/// The name in `<NAME>...`, and what follows it.
fn bracketed(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('<')?.split_once('>')?;
    is_placeholder(name).then_some((name, after))
}

fn is_placeholder(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.chars().all(|c| c.is_ascii_uppercase() || "-_:".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_and_repetitions_are_kept() {
        let line = "tool run [OPTIONS] <NET> [--only <NAME>...] -- <COMMAND> [ARGUMENT]...";
        let expected = ".Nm tool Cm run\n.Ar net\n.Oo\n.Fl -only\n.Ar name ...\n.Oc\n.Fl -\n.Ar command\n.Oo\n.Ar argument\n\
                        .Oc ...\n";
        assert_eq!(synopsis(line, "tool run", &[]), expected);
        let line = "tool join <INVITE|-|--file FILE>";
        let expected = ".Nm tool Cm join\n.Bro\n.Ar invite\n|\n.Cm -\n|\n.Fl -file\n.Ar file\n.Brc\n";
        assert_eq!(synopsis(line, "tool join", &[]), expected);
        let line = "tool invite <NAME> list";
        assert_eq!(synopsis(line, "tool invite", &[]), ".Nm tool Cm invite\n.Ar name\n.Cm list\n");
    }

    #[test]
    fn an_option_that_the_usage_names_is_not_named_again() {
        let (file, files) = (Arg::new("file").long("file"), Arg::new("files").long("files"));
        let usage = "tool [OPTIONS] <NAME>\n       tool [--file FILE]";
        let left = unnamed(usage, vec![&file, &files]);
        assert_eq!(
            synopsis("tool [OPTIONS] <NAME>", "tool", &left),
            ".Nm tool\n.Op Fl -files Ar files\n.Ar name\n"
        );
    }
}
