//! Finding nodes of one's networks on the same LAN, without the manager and without the Internet.
//!
//! A node announces itself when it starts and when the machine's links change, and says nothing else by
//! itself. A node that wants another asks for it ([`Lan::find`]) and waits [`FIND_WAIT`]; the one that is
//! meant answers with its addresses. Both remember what they heard for [`talk::MEMORY`]. The addresses are for dialling
//! only: the handshake proves who is there.
//!
//! What is said is sealed with a key that follows from the network's id ([`packet`]). Neighbours who do not
//! know the network learn that this machine runs coco, and how often it speaks; not which networks it is in, which
//! nodes there are or where they listen, and nothing by which it could be recognised elsewhere. Whoever knows the id, which
//! the manager and former members do too, and who is on the same LAN, learns which nodes of that network are there and
//! where they listen.
//!
//! There is one [`Lan`] for a daemon, with one socket for each family's group ([`socket`]); [`talk`] decides.

pub mod packet;
pub mod socket;
pub mod talk;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use coconet::id::{NetworkId, NodeId};
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::links::{Interface, Links};
use crate::random;
use packet::{ADDRESSES_MAX, About};
use socket::{Sockets, source_towards};
use talk::{FRESH, Heard, MEMORY, Talk};

/// Longest wait for an answer.
pub const FIND_WAIT: Duration = Duration::from_millis(300);

/// When the question is asked once more: Wi-Fi loses more of what is for everybody.
const FIND_AGAIN: Duration = Duration::from_millis(100);

/// Time between two rounds of announcements, at least: a cable with a loose contact is no reason for more.
pub const ANNOUNCE_PAUSE: Duration = Duration::from_secs(5);

/// Questions that wait for an answer at once; more get what is remembered.
const WAITING_MAX: usize = 256;

/// Requests to the task that speaks; who makes more of them waits.
const COMMANDS: usize = 64;

/// Nodes that were heard and that nobody has taken note of yet.
const HEARD_BACKLOG: usize = 64;

/// The daemon's voice on its LANs.
#[derive(Debug)]
pub struct Lan {
    commands: mpsc::Sender<Command>,
    heard: broadcast::Sender<(NetworkId, NodeId)>,
    state: watch::Receiver<State>,
    task: Option<AbortHandle>,
}

/// How discovery stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// The configuration says no.
    Off,
    /// On so many interfaces.
    On(usize),
    /// The sockets cannot be had.
    Failed(String),
}

#[derive(Debug)]
enum Command {
    Announce { network: NetworkId, node: NodeId, listen: Vec<SocketAddr> },
    Leave { network: NetworkId },
    Find { wanted: Wanted, ask: bool, reply: oneshot::Sender<Vec<SocketAddr>> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wanted {
    network: NetworkId,
    node: NodeId,
}

impl Lan {
    /// Listen from now on, wherever `links` says that there are neighbours.
    pub fn start(links: watch::Receiver<Arc<Links>>) -> Self {
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let heard = broadcast::Sender::new(HEARD_BACKLOG);
        let (tell, state) = watch::channel(State::On(0));
        let task = match Sockets::bind() {
            Ok(sockets) => {
                let voice = Voice {
                    sockets,
                    links,
                    talk: Talk::new(Instant::now()),
                    listen: BTreeMap::new(),
                    waiting: Vec::new(),
                    announce_at: None,
                    announced: None,
                    heard: heard.clone(),
                    state: tell,
                };
                Some(tokio::spawn(voice.run(inbox)).abort_handle())
            }
            Err(error) => {
                tracing::warn!(%error, "no discovery on the LAN");
                tell.send_replace(State::Failed(error.to_string()));
                None
            }
        };
        Self { commands, heard, state, task }
    }

    /// One that says and hears nothing.
    pub fn off() -> Self {
        let (commands, _) = mpsc::channel(1);
        let (_, state) = watch::channel(State::Off);
        Self { commands, heard: broadcast::Sender::new(1), state, task: None }
    }

    /// This daemon is `node` in `network` and listens there: say so, and answer who asks. Again when `listen` changes.
    pub async fn announce(&self, network: NetworkId, node: NodeId, listen: Vec<SocketAddr>) {
        let _ = self.commands.send(Command::Announce { network, node, listen }).await;
    }

    /// No longer.
    pub async fn leave(&self, network: NetworkId) {
        let _ = self.commands.send(Command::Leave { network }).await;
    }

    /// Where a node is on this LAN: as heard a moment ago, or asked for now, which takes [`FIND_WAIT`] at
    /// most. Nothing when it is not here.
    pub async fn find(&self, network: NetworkId, node: NodeId) -> Vec<SocketAddr> {
        self.look_up(network, node, true).await
    }

    /// Where a node was heard to be, without asking.
    pub async fn known(&self, network: NetworkId, node: NodeId) -> Vec<SocketAddr> {
        self.look_up(network, node, false).await
    }

    /// Nodes, as they are heard.
    pub fn heard(&self) -> broadcast::Receiver<(NetworkId, NodeId)> {
        self.heard.subscribe()
    }

    /// How it stands.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    async fn look_up(&self, network: NetworkId, node: NodeId, ask: bool) -> Vec<SocketAddr> {
        let (reply, found) = oneshot::channel();
        let command = Command::Find { wanted: Wanted { network, node }, ask, reply };
        match self.commands.send(command).await {
            Ok(()) => found.await.unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// The task that speaks.
struct Voice {
    sockets: Sockets,
    links: watch::Receiver<Arc<Links>>,
    talk: Talk,
    listen: BTreeMap<NetworkId, Vec<SocketAddr>>,
    waiting: Vec<Waiting>,
    /// When to announce next, if there is anything to announce.
    announce_at: Option<Instant>,
    announced: Option<Instant>,
    heard: broadcast::Sender<(NetworkId, NodeId)>,
    state: watch::Sender<State>,
}

/// Somebody who waits for an answer.
struct Waiting {
    wanted: Wanted,
    reply: oneshot::Sender<Vec<SocketAddr>>,
    until: Instant,
    again: Option<Instant>,
}

impl Voice {
    async fn run(mut self, mut inbox: mpsc::Receiver<Command>) {
        self.relink();
        // One byte more than a packet has: what is longer than ours does not become one of ours.
        let mut packet = [0; packet::LENGTH + 1];
        loop {
            let next = self.next();
            tokio::select! {
                command = inbox.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                (length, from) = self.sockets.hear(&mut packet) => self.hear(&packet[..length], from),
                Ok(()) = self.links.changed() => self.relink(),
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
            self.on_time();
        }
    }

    /// When there is something to do without being told.
    fn next(&self) -> Option<Instant> {
        let waiting =
            self.waiting.iter().flat_map(|waiting| waiting.again.into_iter().chain([waiting.until]));
        waiting.chain(self.announce_at).min()
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Announce { network, node, listen } => {
                self.talk.join(network, node, Instant::now());
                self.listen.insert(network, listen);
                self.announce_soon();
            }
            Command::Leave { network } => {
                self.talk.leave(network);
                self.listen.remove(&network);
                self.waiting.retain(|waiting| waiting.wanted.network != network);
            }
            Command::Find { wanted, ask, reply } => self.find(wanted, ask, reply),
        }
    }

    fn find(&mut self, wanted: Wanted, ask: bool, reply: oneshot::Sender<Vec<SocketAddr>>) {
        let now = Instant::now();
        let Wanted { network, node } = wanted;
        let known = self.talk.known(network, node, if ask { FRESH } else { MEMORY }, now);
        if !known.is_empty() || !ask || self.waiting.len() >= WAITING_MAX {
            let _ = reply.send(known);
            return;
        }
        let until = now + FIND_WAIT;
        if self.talk.may_ask(network, node, now) {
            self.ask(wanted);
            self.waiting.push(Waiting { wanted, reply, until, again: Some(now + FIND_AGAIN) });
        } else if self.waiting.iter().any(|other| other.wanted == wanted) {
            self.waiting.push(Waiting { wanted, reply, until, again: None });
        } else {
            // Asked in vain a moment ago.
            let _ = reply.send(self.talk.known(network, node, MEMORY, now));
        }
    }

    fn hear(&mut self, packet: &[u8], from: SocketAddr) {
        let now = Instant::now();
        match self.talk.hear(packet, from.ip(), now) {
            Heard::Nothing => {}
            Heard::Node(network, node) => {
                let _ = self.heard.send((network, node));
                for waiting in
                    self.waiting.extract_if(.., |waiting| waiting.wanted == Wanted { network, node })
                {
                    let _ = waiting.reply.send(self.talk.known(network, node, FRESH, now));
                }
            }
            Heard::Question { network, number } => self.answer(network, number, from),
        }
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        if self.announce_at.is_some_and(|at| at <= now) {
            self.announce_at = None;
            self.announced = Some(now);
            for network in self.talk.networks().collect::<Vec<_>>() {
                self.say(network, About::Announcement);
            }
        }
        let mut again = Vec::new();
        for waiting in &mut self.waiting {
            if waiting.again.is_some_and(|at| at <= now) {
                waiting.again = None;
                again.push(waiting.wanted);
            }
        }
        again.into_iter().for_each(|wanted| self.ask(wanted));
        for waiting in self.waiting.extract_if(.., |waiting| waiting.until <= now) {
            let Wanted { network, node } = waiting.wanted;
            let _ = waiting.reply.send(self.talk.known(network, node, MEMORY, now));
        }
    }

    fn relink(&mut self) {
        let links = Arc::clone(&self.links.borrow_and_update());
        self.sockets.join(&links);
        self.state.send_replace(State::On(links.lans().count()));
        self.announce_soon();
    }

    fn announce_soon(&mut self) {
        if self.listen.is_empty() {
            return;
        }
        let now = Instant::now();
        self.announce_at = Some(self.announced.map_or(now, |before| now.max(before + ANNOUNCE_PAUSE)));
    }

    fn ask(&self, Wanted { network, node }: Wanted) {
        let Ok(number) = random::bytes().map(u64::from_be_bytes) else { return };
        self.say(network, About::Question { wanted: node, number });
    }

    /// Say it on every LAN, with the addresses that are good there.
    fn say(&self, network: NetworkId, about: About) {
        let links = Arc::clone(&self.links.borrow());
        let listen = self.listen.get(&network).map(Vec::as_slice).unwrap_or_default();
        for spot in self.sockets.spots(&links) {
            let addresses = addresses(spot.interface, listen);
            if let Some(packet) = self.packet(network, about, (spot.from, addresses)) {
                self.sockets.tell_all(&spot, &packet);
            }
        }
    }

    fn answer(&self, network: NetworkId, number: u64, to: SocketAddr) {
        let links = Arc::clone(&self.links.borrow());
        let listen = self.listen.get(&network).map(Vec::as_slice).unwrap_or_default();
        let Ok(from) = source_towards(to) else { return };
        let Some(interface) = links.lans().find(|interface| interface.addresses.contains(&from)) else {
            return;
        };
        let packet = self.packet(network, About::Answer { number }, (from, addresses(interface, listen)));
        if let Some(packet) = packet {
            self.sockets.tell(to, &packet);
        }
    }

    /// Nothing to say without an address.
    fn packet(
        &self,
        network: NetworkId,
        about: About,
        own: (IpAddr, Vec<SocketAddr>),
    ) -> Option<[u8; packet::LENGTH]> {
        if own.1.is_empty() {
            return None;
        }
        self.talk.say(network, about, own, random::bytes().ok()?)
    }
}

/// Where neighbours on `interface` reach a node that listens on `listen`: at most two addresses of a family.
fn addresses(interface: &Interface, listen: &[SocketAddr]) -> Vec<SocketAddr> {
    let of = |bound: &SocketAddr| -> Vec<SocketAddr> {
        let fits = |ip: &&IpAddr| match (bound.ip(), ip) {
            (IpAddr::V4(any), IpAddr::V4(_)) if any.is_unspecified() => true,
            // Without its scope, which is ours alone, such an address says nothing.
            (IpAddr::V6(any), IpAddr::V6(ip)) if any.is_unspecified() => !ip.is_unicast_link_local(),
            (bound, ip) => bound == **ip,
        };
        let here = interface.addresses.iter().filter(fits).take(ADDRESSES_MAX / 2);
        here.map(|ip| SocketAddr::new(*ip, bound.port())).collect()
    };
    listen.iter().flat_map(of).take(ADDRESSES_MAX).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    fn interface(addresses: &[&str]) -> Interface {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        Interface { index: 2, loopback: false, lan: true, running: true, addresses }
    }

    fn told(interface: &Interface, listen: &[&str]) -> Vec<String> {
        let listen: Vec<SocketAddr> = listen.iter().map(|text| text.parse().unwrap()).collect();
        addresses(interface, &listen).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn neighbours_are_told_the_addresses_of_their_own_lan() {
        let home = interface(&["192.168.1.7", "2001:db8::7", "fe80::7"]);
        assert_eq!(told(&home, &["0.0.0.0:1", "[::]:2"]), ["192.168.1.7:1", "[2001:db8::7]:2"]);
        assert_eq!(told(&home, &["10.0.0.1:1", "[2001:db8::7]:2"]), ["[2001:db8::7]:2"]);
        assert_eq!(told(&home, &["127.0.0.1:1"]), Vec::<String>::new());
    }

    #[test]
    fn many_addresses_are_few_of_each_family() {
        let many = interface(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2", "fd00::3"]);
        let told = told(&many, &["0.0.0.0:1", "[::]:2"]);
        assert_eq!(told, ["10.0.0.1:1", "10.0.0.2:1", "[fd00::1]:2", "[fd00::2]:2"]);
    }
}
