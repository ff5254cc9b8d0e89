//! The daemon's end: starting the helpers, and asking them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as Pair;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use coco_sandbox::Layer;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::helper::{HOSTS_AT_ONCE, Helper, Line};
use super::{Answer, LINE_MAX, Question};

/// Longest wait for an answer: as long as the C library asks name servers that are silent.
const ANSWER_WAIT: Duration = Duration::from_secs(40);

/// Questions that wait to be written. Beyond that whoever asks waits.
const QUEUE: usize = 64;

/// This program, as the kernel knows it, also after it was replaced on disk.
const THIS_PROGRAM: &str = "/proc/self/exe";

/// What the C library's resolver takes from the environment. Nothing else is handed on.
const ENVIRONMENT: [&str; 4] = ["RES_OPTIONS", "LOCALDOMAIN", "HOSTALIASES", "LD_LIBRARY_PATH"];

/// The helpers cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("cannot start the process that looks up {helper}")]
pub struct HelperError {
    helper: Helper,
    source: io::Error,
}

/// Helpers that run, before anybody asks.
#[derive(Debug)]
pub struct Helpers {
    names: Started,
    processes: Started,
}

#[derive(Debug)]
struct Started {
    child: Child,
    socket: Pair,
}

impl Helpers {
    /// Start both, with these layers of the sandbox left off.
    pub fn start(off: &BTreeSet<Layer>) -> Result<Self, HelperError> {
        let start = |helper| start(helper, off).map_err(|source| HelperError { helper, source });
        Ok(Self { names: start(Helper::Names)?, processes: start(Helper::Processes)? })
    }

    /// Begin to ask. Within a tokio runtime.
    pub(super) fn listen(self) -> io::Result<Client> {
        let (names, processes) = (Asker::new(self.names)?, Asker::new(self.processes)?);
        Ok(Client { names, processes, hosts: Semaphore::new(HOSTS_AT_ONCE) })
    }
}

fn start(helper: Helper, off: &BTreeSet<Layer>) -> io::Result<Started> {
    let (socket, theirs) = Pair::pair()?;
    let mut command = Command::new(THIS_PROGRAM);
    command.args(["--lookups", helper.as_str()]).stdin(OwnedFd::from(theirs)).stdout(Stdio::null());
    for layer in off {
        command.args(["--without", layer.as_str()]);
    }
    command.env_clear();
    let kept = ENVIRONMENT.into_iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.envs(kept);
    Ok(Started { child: command.spawn()?, socket })
}

/// Both helpers.
#[derive(Debug)]
pub(super) struct Client {
    names: Asker,
    processes: Asker,
    /// Who asks about hosts at a time. Further ones wait here, in nobody's way.
    hosts: Semaphore,
}

/// One helper.
#[derive(Debug)]
struct Asker {
    questions: mpsc::Sender<(Question, oneshot::Sender<Answer>)>,
    /// Ends when the daemon's end of the socket is closed.
    _child: Child,
}

impl Client {
    pub(super) async fn ask(&self, question: Question) -> io::Result<Answer> {
        let asker = match question.helper() {
            Helper::Names => &self.names,
            Helper::Processes => &self.processes,
        };
        let gone = || io::Error::other("the process that looks this up has ended: restart the daemon");
        let (told, answer) = oneshot::channel();
        let asking = async {
            let _place = match question {
                Question::Host { .. } => Some(self.hosts.acquire().await.map_err(|_| gone())?),
                Question::User { .. } | Question::Holders { .. } => None,
            };
            asker.questions.send((question, told)).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())
        };
        tokio::time::timeout(ANSWER_WAIT, asking).await.map_err(|_| io::ErrorKind::TimedOut)?
    }

    pub(super) fn missing(&self) -> Option<Helper> {
        let both = [(Helper::Names, &self.names), (Helper::Processes, &self.processes)];
        both.into_iter().find(|(_, asker)| asker.questions.is_closed()).map(|(helper, _)| helper)
    }
}

impl Asker {
    fn new(started: Started) -> io::Result<Self> {
        started.socket.set_nonblocking(true)?;
        let socket = UnixStream::from_std(started.socket)?;
        let (questions, queue) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            let ended = carry(socket, queue).await;
            tracing::error!(?ended, "a lookup process has ended; restart this daemon");
        });
        Ok(Self { questions, _child: started.child })
    }
}

/// Carry questions and answers until one of the ends is closed.
async fn carry(
    socket: UnixStream,
    mut queue: mpsc::Receiver<(Question, oneshot::Sender<Answer>)>,
) -> io::Result<()> {
    let (reader, mut writer) = socket.into_split();
    let mut reader = BufReader::new(reader);
    let mut waiting: BTreeMap<u64, oneshot::Sender<Answer>> = BTreeMap::new();
    let (mut number, mut line) = (0, Vec::new());
    loop {
        let mut bounded = (&mut reader).take(LINE_MAX.saturating_sub(line.len() as u64));
        tokio::select! {
            asked = queue.recv() => {
                let Some((question, answer)) = asked else { return Ok(()) };
                // Whoever asked has given up meanwhile.
                if answer.is_closed() {
                    continue;
                }
                waiting.retain(|_, answer| !answer.is_closed());
                waiting.insert(number, answer);
                let mut text = serde_json::to_vec(&Line { number, content: question })?;
                text.push(b'\n');
                number += 1;
                writer.write_all(&text).await?;
            }
            // What was read of a line before another branch was taken stays in `line`.
            read = bounded.read_until(b'\n', &mut line) => {
                if read? == 0 || line.last() != Some(&b'\n') {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                let Line { number, content } = serde_json::from_slice::<Line<Answer>>(&line)?;
                line.clear();
                if let Some(answer) = waiting.remove(&number) {
                    // An error means that nobody waits any more.
                    let _ = answer.send(content);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_asked() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (questions, queue) = mpsc::channel(QUEUE);
        let host = |port| Question::Host { host: "camera".to_owned(), port };
        let mut asking = Vec::new();
        for port in [1, 2, 3] {
            let (told, answer) = oneshot::channel();
            questions.send((host(port), told)).await.unwrap();
            asking.push(answer);
        }
        asking.drain(..2);
        drop(questions);
        carry(ours, queue).await.unwrap();
        let mut asked = String::new();
        BufReader::new(theirs).read_to_string(&mut asked).await.unwrap();
        assert_eq!(asked.lines().count(), 1, "{asked}");
        assert!(asked.contains("\"port\":3"), "{asked}");
    }
}
