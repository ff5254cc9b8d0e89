//! Secrets that are handed to a command: as a word, on stdin, or in a file.
//!
//! What is read is bounded, and what cannot be read is never repeated.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use coconet::invite::INVITE_TEXT_MAX;
use coconet::recovery::RECOVERY_TEXT_MAX;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use crate::commands::Context;
use crate::fail::Fail;
use crate::interrupt::aside;
use crate::place::word;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Secret {
    /// As people call it.
    pub(crate) what: &'static str,
    /// The noun and the verb that take it on stdin.
    pub(crate) command: &'static str,
    /// Whether the terminal shows it while it is pasted.
    pub(crate) shown: bool,
}

/// Most bytes read: the longest of them, cut into lines.
const READ_MAX: u64 =
    2 * (if INVITE_TEXT_MAX > RECOVERY_TEXT_MAX { INVITE_TEXT_MAX } else { RECOVERY_TEXT_MAX }) as u64;

impl Secret {
    /// The secret in `given` or else in `file`; `-` is stdin. Mail and chat programs cut long lines, and
    /// nothing in a secret is a space: they are left out.
    pub(crate) async fn read(
        self,
        context: &Context,
        given: Option<String>,
        file: Option<PathBuf>,
    ) -> Result<String, Fail> {
        let text = match (given, file) {
            (Some(given), _) if given == "-" => self.on_stdin(context).await?,
            (Some(given), _) => given,
            (None, Some(file)) => self.in_file(context, file).await?,
            (None, None) => return Err(self.unreadable(context, "nowhere", io::ErrorKind::NotFound.into())),
        };
        Ok(text.split_whitespace().collect())
    }

    async fn on_stdin(self, context: &Context) -> Result<String, Fail> {
        if !io::stdin().is_terminal() {
            let read = aside(|| bounded(io::stdin().lock())).await;
            return read.map_err(|error| self.unreadable(context, "stdin", error));
        }
        let quiet = if self.shown { None } else { Some(Quiet::now()) };
        let quiet =
            quiet.transpose().map_err(|error| self.unreadable(context, "the terminal", error.into()))?;
        context.out.note(&format!("paste the {}, then press Enter:", self.what));
        let line = aside(|| {
            let mut line = String::new();
            io::stdin().lock().take(READ_MAX).read_line(&mut line).map(|_| line)
        });
        let line = line.await;
        drop(quiet);
        line.map_err(|error| self.unreadable(context, "stdin", error))
    }

    async fn in_file(self, context: &Context, file: PathBuf) -> Result<String, Fail> {
        let name = place_of(&file);
        let read = aside(move || bounded(BufReader::new(File::open(file)?))).await;
        read.map_err(|error| self.unreadable(context, &name, error))
    }

    fn unreadable(self, context: &Context, from: &str, error: io::Error) -> Fail {
        Fail::failed(format!("cannot read the {} from {from}", self.what)).because(error).hint(format!(
            "{} {} -, with the {} on its stdin",
            context.me(),
            self.command,
            self.what
        ))
    }
}

/// What a file that is to be read is called in messages; `-` is stdin.
pub(crate) fn place_of(path: &Path) -> String {
    if path == Path::new("-") { "stdin".to_owned() } else { word(&path.to_string_lossy()) }
}

/// The text that `from` holds. What is too long is cut, and then no secret.
fn bounded(from: impl Read) -> io::Result<String> {
    let mut bytes = Vec::new();
    from.take(READ_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A terminal that does not show what is typed, until this is dropped.
struct Quiet(Termios);

impl Quiet {
    fn now() -> nix::Result<Self> {
        let before = tcgetattr(io::stdin().as_fd())?;
        let mut quiet = before.clone();
        // The line end is shown, so that the next line begins on its own.
        quiet.local_flags.remove(LocalFlags::ECHO);
        quiet.local_flags.insert(LocalFlags::ECHONL);
        tcsetattr(io::stdin().as_fd(), SetArg::TCSAFLUSH, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Nothing better is left to try.
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &self.0);
    }
}
