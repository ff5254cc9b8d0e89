//! What went wrong: its text on stderr and its exit code.
//!
//! ```text
//! error: the message
//!   caused by: why
//! hint: the command to run next
//! ```

use std::fmt::Display;
use std::io;
use std::process::ExitCode;

use coconet::control::{ErrorKind, Failure};

use crate::print::{clean, complain};
use crate::run::Failed;

/// The exit code of [`Fail::WouldChange`]: behind those of [`ErrorKind`].
const WOULD_CHANGE: u8 = 9;

/// The exit code of [`Fail::Interrupted`]: a shell's for a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// Most causes of one error that are printed.
const CAUSES_MAX: usize = 16;

/// The end of a command before its time.
#[derive(Debug)]
pub(crate) enum Fail {
    /// Nobody reads our output any more: no error, and nobody to tell.
    OutputClosed,
    /// A dry run found something to do, and has told it: no error either.
    WouldChange,
    /// Ctrl-C: no error, and what is said is how things stand.
    Interrupted(Vec<String>),
    /// An error.
    Error(Box<Told>),
}

/// An error as it is told.
#[derive(Debug)]
pub(crate) struct Told {
    kind: ErrorKind,
    message: String,
    causes: Vec<String>,
    /// Lines between the causes and the hint, of our own making: how a command is used.
    usage: Vec<String>,
    hint: Option<String>,
    /// Its own exit code, where it is not that of its kind.
    code: Option<u8>,
}

impl Fail {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Error(Box::new(Told {
            kind,
            code: None,
            message: message.into(),
            causes: Vec::new(),
            usage: Vec::new(),
            hint: None,
        }))
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// A command that could not be started: its exit code says why, as a shell's does.
    pub(crate) fn of_command(failed: Failed) -> Self {
        Self::Error(Box::new(Told {
            kind: ErrorKind::Failed,
            message: failed.text,
            causes: vec![failed.cause],
            usage: Vec::new(),
            hint: failed.hint,
            code: Some(failed.code),
        }))
    }

    /// One more cause, the outermost first.
    pub(crate) fn because(mut self, cause: impl Display) -> Self {
        if let Self::Error(told) = &mut self {
            told.causes.push(cause.to_string());
        }
        self
    }

    /// How the command is used, on lines of its own.
    pub(crate) fn usage_lines(mut self, lines: Vec<String>) -> Self {
        if let Self::Error(told) = &mut self {
            told.usage = lines;
        }
        self
    }

    /// What to do about it; it replaces an earlier hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Error(told) = &mut self {
            told.hint = Some(hint.into());
        }
        self
    }

    /// What to do about it where that is not known better.
    pub(crate) fn or_hint(mut self, hint: impl Into<String>) -> Self {
        if let Self::Error(told) = &mut self {
            told.hint.get_or_insert_with(|| hint.into());
        }
        self
    }

    /// The same failure as the reason for `message`, of the same kind and with the same hint.
    pub(crate) fn within(self, message: impl Into<String>) -> Self {
        match self {
            Self::OutputClosed => Self::OutputClosed,
            Self::WouldChange => Self::WouldChange,
            Self::Interrupted(lines) => Self::Interrupted(lines),
            Self::Error(mut told) => {
                told.causes.insert(0, std::mem::replace(&mut told.message, message.into()));
                Self::Error(told)
            }
        }
    }

    /// What a daemon reported; a hint that is a command of ours gets the options of this call.
    pub(crate) fn reported(failure: Failure, me: &str) -> Self {
        let body = failure.error;
        let ours = |hint: String| match hint.strip_prefix("cococtl ") {
            Some(rest) if !rest.starts_with("--") => format!("{me} {rest}"),
            Some(_) | None => hint,
        };
        let message = if body.message.is_empty() { "it did not work".to_owned() } else { body.message };
        let hint = body.hint.map(ours);
        Self::Error(Box::new(Told {
            kind: body.kind,
            message,
            causes: body.causes,
            usage: Vec::new(),
            hint,
            code: None,
        }))
    }

    /// Stdout could not be written.
    pub(crate) fn output(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::OutputClosed;
        }
        Self::failed("cannot write the result")
            .because(error)
            .hint("see that there is room where standard output goes: df -h")
    }

    /// Its kind, of an error.
    pub(crate) fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::OutputClosed | Self::WouldChange | Self::Interrupted(_) => None,
            Self::Error(told) => Some(told.kind),
        }
    }

    /// Whether a run of several requests is better given up: the next would not be answered, either.
    pub(crate) fn ends_a_run(&self) -> bool {
        match self.kind() {
            None | Some(ErrorKind::Unreachable | ErrorKind::TimedOut | ErrorKind::NotAMember) => true,
            Some(
                ErrorKind::Failed
                | ErrorKind::Usage
                | ErrorKind::NotPermitted
                | ErrorKind::NotFound
                | ErrorKind::Quota,
            ) => false,
        }
    }

    /// Its message, in one line with its causes.
    pub(crate) fn summary(&self) -> String {
        match self {
            Self::OutputClosed | Self::WouldChange | Self::Interrupted(_) => String::new(),
            Self::Error(told) => {
                let causes = told.causes.iter().map(|cause| format!(": {cause}"));
                format!("{}{}", told.message, causes.collect::<String>())
            }
        }
    }

    /// Tells it on stderr and gives its exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::OutputClosed => ExitCode::SUCCESS,
            Self::WouldChange => ExitCode::from(WOULD_CHANGE),
            Self::Interrupted(lines) => {
                complain(&lines.iter().map(|line| clean(line)).collect::<Vec<_>>());
                ExitCode::from(INTERRUPTED)
            }
            Self::Error(told) => {
                complain(&told.lines());
                ExitCode::from(told.code.unwrap_or(told.kind.exit_code()))
            }
        }
    }
}

impl Told {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("error: {}", clean(&self.message))];
        let causes = self.causes.iter().take(CAUSES_MAX);
        lines.extend(causes.map(|cause| format!("  caused by: {}", clean(cause))));
        lines.extend(self.usage.iter().map(|line| clean(line)));
        lines.extend(self.hint.iter().map(|hint| format!("hint: {}", clean(hint))));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(fail: &Fail) -> Vec<String> {
        match fail {
            Fail::OutputClosed | Fail::WouldChange | Fail::Interrupted(_) => Vec::new(),
            Fail::Error(told) => told.lines(),
        }
    }

    #[test]
    fn an_error_tells_its_causes_outermost_first_and_then_what_to_do() {
        let fail = Fail::failed("inner").because("innermost").hint("cococtl status").within("outer");
        let expected =
            ["error: outer", "  caused by: inner", "  caused by: innermost", "hint: cococtl status"];
        assert_eq!(lines(&fail), expected);
    }

    #[test]
    fn what_would_change_and_what_was_interrupted_have_codes_of_their_own() {
        let kinds = [
            ErrorKind::Failed,
            ErrorKind::Usage,
            ErrorKind::Unreachable,
            ErrorKind::NotPermitted,
            ErrorKind::NotFound,
            ErrorKind::TimedOut,
            ErrorKind::Quota,
            ErrorKind::NotAMember,
        ];
        assert!(kinds.iter().all(|kind| ![WOULD_CHANGE, INTERRUPTED].contains(&kind.exit_code())));
    }

    #[test]
    fn a_reported_line_cannot_pass_for_ours() {
        let fail = Fail::failed("x\nhint: w").because("y\nhint: rm -rf /\u{1b}[2K").hint("z\r\nerror: none");
        assert_eq!(
            lines(&fail),
            ["error: xhint: w", "  caused by: yhint: rm -rf /[2K", "hint: zerror: none"]
        );
    }
}
