//! What happens: [`update`] takes a [`Message`] into the [`State`], and returns what is to be done about it.

use std::collections::VecDeque;

use coconet::control::{Event, Examined, Grants, Members, Status, Usage};
use coconet::name::Name;
use ratatui::layout::{Position, Rect};

use super::keys::{self, Command, Key, Step};
use super::rows::Subject;
use super::state::{Action, EVENTS_MAX, FILTER_MAX, Overlay, ROUND_TRIPS, Rate, State, Tab};
use super::view;

/// What can happen.
#[derive(Debug)]
pub(super) enum Message {
    Key(Key),
    Click(Position),
    Scroll(Step),
    Resized(Rect),
    Status(Box<Status>, u64),
    Members(Members),
    Grants(Name, Grants),
    Usage(Usage),
    Examined(Examined),
    Event(Event),
    /// The daemon does not answer, and why.
    Lost(String),
    /// What came of an action.
    Told(String),
}

/// What was clicked on, as the view knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spot {
    Tab(Tab),
    Row(usize),
    /// The heading of a column.
    Column(usize),
    Elsewhere,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    Quit,
    /// To the terminal's clipboard.
    Copy(String),
    Ping {
        network: Name,
        node: String,
    },
    Do(Action),
    /// Something of another tab is wanted now.
    Look(Tab),
}

/// Take a message in.
pub(super) fn update(state: &mut State, message: Message) -> Option<Effect> {
    match message {
        Message::Key(key) => return pressed(state, key),
        Message::Click(at) => {
            let spot = view::spot(state, at);
            return clicked(state, spot);
        }
        Message::Scroll(step) => moved(state, step),
        Message::Resized(screen) => state.screen = screen,
        Message::Status(status, now_ms) => {
            state.lost = None;
            status_came(state, *status, now_ms);
        }
        Message::Members(members) => {
            state.newest().members.insert(members.network.clone(), members);
        }
        Message::Grants(network, grants) => {
            state.newest().grants.insert(network, grants);
        }
        Message::Usage(usage) => {
            state.newest().usage.insert(usage.network.clone(), usage);
        }
        Message::Examined(examined) => {
            state.newest().examined.insert(examined.network.clone(), examined);
        }
        Message::Event(event) => {
            let events = &mut state.newest().events;
            events.push_back(event);
            while events.len() > EVENTS_MAX {
                events.pop_front();
            }
        }
        Message::Lost(why) => state.lost = Some(why),
        Message::Told(what) => state.told = Some(what),
    }
    None
}

/// A new look at the daemon: round trips go on the sparklines, and tunnels' bytes become rates.
fn status_came(state: &mut State, status: Status, now_ms: u64) {
    let facts = state.newest();
    let passed_ms = now_ms.saturating_sub(facts.now_ms);
    let before = facts.status.as_ref();
    let restarted =
        before.is_some_and(|before| before.pid != status.pid || before.started_ms != status.started_ms);
    let mut rates = std::collections::BTreeMap::new();
    for tunnel in &status.tunnels {
        let earlier = before
            .filter(|_| !restarted)
            .and_then(|before| before.tunnels.iter().find(|one| one.id == tunnel.id));
        let rate = earlier.map_or_else(Rate::default, |earlier| {
            let rate = |now: u64, then: u64| now.saturating_sub(then).saturating_mul(1000) / passed_ms.max(1);
            Rate {
                bytes_in: rate(tunnel.bytes_in, earlier.bytes_in),
                bytes_out: rate(tunnel.bytes_out, earlier.bytes_out),
            }
        });
        rates.insert(tunnel.id.clone(), rate);
    }
    facts.rates = rates;
    let mut round_trips = std::mem::take(&mut facts.round_trips);
    let mut kept = std::collections::BTreeMap::new();
    for peer in status.networks.iter().flat_map(|network| &network.peers) {
        let mut line: VecDeque<Option<u64>> = round_trips.remove(&peer.id).unwrap_or_default();
        line.push_back(peer.rtt_us);
        while line.len() > ROUND_TRIPS {
            line.pop_front();
        }
        kept.insert(peer.id.clone(), line);
    }
    facts.round_trips = kept;
    let lives = |name: &Name| status.networks.iter().any(|network| network.name == *name);
    facts.members.retain(|name, _| lives(name));
    facts.grants.retain(|name, _| lives(name));
    facts.usage.retain(|name, _| lives(name));
    facts.examined.retain(|name, _| lives(name));
    facts.now_ms = now_ms;
    facts.status = Some(status);
}

fn pressed(state: &mut State, key: Key) -> Option<Effect> {
    if key == Key::Interrupt {
        return Some(Effect::Quit);
    }
    match state.overlay.clone() {
        Overlay::None => {}
        Overlay::Filter => {
            filter_written(state, key);
            return None;
        }
        Overlay::Confirm(action) => {
            // Enter is no yes: it may have been meant for the row below.
            match key {
                Key::Char('y' | 'Y') => {
                    state.overlay = Overlay::None;
                    return Some(Effect::Do(action));
                }
                Key::Char('n' | 'N' | 'q') | Key::Escape => state.overlay = Overlay::None,
                Key::Char(_)
                | Key::Enter
                | Key::Tab
                | Key::BackTab
                | Key::Backspace
                | Key::Up
                | Key::Down
                | Key::PageUp
                | Key::PageDown
                | Key::Home
                | Key::End
                | Key::Interrupt => {}
            }
            return None;
        }
        Overlay::Help | Overlay::Details(_) => match (key, &mut state.overlay) {
            (Key::Down | Key::Char('j'), Overlay::Details(line)) => {
                *line = line.saturating_add(1);
                return None;
            }
            (Key::Up | Key::Char('k'), Overlay::Details(line)) => {
                *line = line.saturating_sub(1);
                return None;
            }
            (Key::Escape | Key::Enter | Key::Char('q' | '?'), _) => {
                state.overlay = Overlay::None;
                return None;
            }
            (_, Overlay::Help) => {
                state.overlay = Overlay::None;
                return None;
            }
            // Keys of the tab below do to its row what they always do.
            (_, _) => {}
        },
    }
    let command = keys::command(state, key)?;
    state.told = None;
    obey(state, command)
}

fn obey(state: &mut State, command: Command) -> Option<Effect> {
    match command {
        Command::Quit => return Some(Effect::Quit),
        Command::Help => state.overlay = Overlay::Help,
        Command::Details => {
            if state.selected(&state.table()).is_some() {
                state.overlay = Overlay::Details(0);
            }
        }
        Command::Filter => state.overlay = Overlay::Filter,
        Command::Back => state.list_mut().filter.clear(),
        Command::Sort => {
            let columns = state.table().columns.len();
            let list = state.list_mut();
            list.sort = match list.sort {
                None => Some(0),
                Some(column) if column + 1 < columns => Some(column + 1),
                Some(_) => None,
            };
        }
        Command::Reverse => {
            let list = state.list_mut();
            list.reverse = !list.reverse;
        }
        Command::Freeze => state.freeze(),
        // The key has told which.
        Command::Number => {}
        Command::Go(tab) => return gone_to(state, tab),
        Command::Next => return gone_to(state, state.tab.on(1)),
        Command::Previous => return gone_to(state, state.tab.on(Tab::ALL.len() - 1)),
        Command::Move(step) => moved(state, step),
        Command::Ping => {
            if let Some(Subject::Peer { network, node }) = subject(state) {
                state.told = Some("waiting for the answer...".to_owned());
                return Some(Effect::Ping { network, node });
            }
        }
        Command::Copy => match subject(state) {
            Some(Subject::Tunnel { url: Some(url), .. }) => {
                state.told = Some(format!("copied {url}"));
                return Some(Effect::Copy(url));
            }
            Some(Subject::Tunnel { .. }) => {
                state.told = Some("what is exposed here has no local URL".to_owned());
            }
            Some(Subject::Peer { .. } | Subject::Node { .. } | Subject::Grant { .. } | Subject::None)
            | None => {}
        },
        Command::Close => {
            if let Some(Subject::Tunnel { network, id, resource, .. }) = subject(state) {
                state.overlay = Overlay::Confirm(Action::Close { network, id, resource });
            }
        }
        Command::Revoke => match subject(state) {
            Some(Subject::Node { network, node, name }) => {
                state.overlay = Overlay::Confirm(Action::Remove { network, node, name });
            }
            Some(Subject::Grant { network, user, resource }) => {
                state.overlay = Overlay::Confirm(Action::Revoke { network, user, resource });
            }
            Some(Subject::Peer { .. } | Subject::Tunnel { .. } | Subject::None) | None => {}
        },
    }
    None
}

fn gone_to(state: &mut State, tab: Tab) -> Option<Effect> {
    state.tab = tab;
    state.overlay = Overlay::None;
    Some(Effect::Look(tab))
}

/// What the selected row is about.
fn subject(state: &State) -> Option<Subject> {
    let table = state.table();
    let at = state.selected(&table)?;
    table.rows.get(at).map(|row| row.subject.clone())
}

fn moved(state: &mut State, step: Step) {
    if let Overlay::Details(line) = &mut state.overlay {
        *line = match step {
            Step::Up | Step::PageUp => line.saturating_sub(1),
            Step::Down | Step::PageDown => line.saturating_add(1),
            Step::First => 0,
            Step::Last => usize::MAX,
        };
        return;
    }
    let table = state.table();
    let (Some(at), Some(last)) = (state.selected(&table), table.rows.len().checked_sub(1)) else { return };
    let page = view::page(state);
    let to = match step {
        Step::Up => at.saturating_sub(1),
        Step::Down => (at + 1).min(last),
        Step::PageUp => at.saturating_sub(page),
        Step::PageDown => (at + page).min(last),
        Step::First => 0,
        Step::Last => last,
    };
    select(state, &table, to);
}

fn select(state: &mut State, table: &super::rows::Table, at: usize) {
    let Some(row) = table.rows.get(at) else { return };
    let key = row.key.clone();
    let list = state.list_mut();
    list.selected = Some(key);
    list.place = at;
}

fn clicked(state: &mut State, spot: Spot) -> Option<Effect> {
    match spot {
        Spot::Tab(tab) => return gone_to(state, tab),
        Spot::Row(at) if state.overlay == Overlay::None => {
            let table = state.table();
            if state.selected(&table) == Some(at) && state.list().selected.is_some() {
                state.overlay = Overlay::Details(0);
            } else {
                select(state, &table, at);
            }
        }
        Spot::Column(column) if state.overlay == Overlay::None => {
            let list = state.list_mut();
            list.reverse = list.sort == Some(column) && !list.reverse;
            list.sort = Some(column);
        }
        Spot::Row(_) | Spot::Column(_) | Spot::Elsewhere => {
            if !matches!(state.overlay, Overlay::Confirm(_)) {
                state.overlay = Overlay::None;
            }
        }
    }
    None
}

fn filter_written(state: &mut State, key: Key) {
    let list = state.list_mut();
    match key {
        Key::Char(letter) if !letter.is_control() && list.filter.chars().count() < FILTER_MAX => {
            list.filter.push(letter);
        }
        Key::Backspace => {
            list.filter.pop();
        }
        Key::Enter => state.overlay = Overlay::None,
        Key::Escape => {
            list.filter.clear();
            state.overlay = Overlay::None;
        }
        Key::Char(_) | Key::Tab | Key::BackTab | Key::Home | Key::End | Key::Interrupt => {}
        Key::Up => moved(state, Step::Up),
        Key::Down => moved(state, Step::Down),
        Key::PageUp => moved(state, Step::PageUp),
        Key::PageDown => moved(state, Step::PageDown),
    }
}
