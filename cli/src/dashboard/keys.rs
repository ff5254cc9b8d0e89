//! What the keys do. One table: the footer and the help are made of it, so the keys they show are keys that work.

use super::state::{State, Tab};

/// A key, as far as the dashboard knows keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Char(char),
    Enter,
    Escape,
    Tab,
    BackTab,
    Backspace,
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C, whatever is on the screen.
    Interrupt,
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    Quit,
    Help,
    Details,
    Filter,
    Back,
    Sort,
    Reverse,
    Freeze,
    /// To the tab of the key's number.
    Number,
    Go(Tab),
    Next,
    Previous,
    Move(Step),
    Close,
    Copy,
    Ping,
    Revoke,
}

/// How far a selection moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Up,
    Down,
    PageUp,
    PageDown,
    First,
    Last,
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Binding {
    /// The keys; the first is the one that the footer shows.
    keys: &'static [Key],
    command: Command,
    /// For the help: imperative, without a full stop.
    pub(super) does: &'static str,
    /// For the footer, where it belongs there.
    pub(super) short: Option<&'static str>,
    /// On which tabs; empty for all.
    tabs: &'static [Tab],
}

impl Binding {
    /// Whether it works on what is shown now.
    fn works(&self, state: &State) -> bool {
        self.tabs.is_empty() || self.tabs.contains(&state.tab)
    }

    /// The key that is shown.
    pub(super) fn key(&self) -> String {
        self.keys.first().map(|key| name(*key)).unwrap_or_default()
    }

    /// All of its keys.
    pub(super) fn keys(&self) -> String {
        self.keys.iter().map(|key| name(*key)).collect::<Vec<_>>().join(" ")
    }
}

const fn on_all(
    keys: &'static [Key],
    command: Command,
    does: &'static str,
    short: Option<&'static str>,
) -> Binding {
    Binding { keys, command, does, short, tabs: &[] }
}

const fn on(
    tabs: &'static [Tab],
    keys: &'static [Key],
    command: Command,
    does: &'static str,
    short: &'static str,
) -> Binding {
    Binding { keys, command, does, short: Some(short), tabs }
}

/// The tabs that have rows to choose from.
const ROWS: &[Tab] = &[Tab::Peers, Tab::Tunnels, Tab::Members, Tab::Relay, Tab::Events];

/// One for each tab.
const NUMBERS: &[Key] =
    &[Key::Char('1'), Key::Char('2'), Key::Char('3'), Key::Char('4'), Key::Char('5'), Key::Char('6')];

/// Every key there is.
const BINDINGS: &[Binding] = &[
    on_all(&[Key::Char('?'), Key::Char('h')], Command::Help, "show the keys", Some("help")),
    on_all(&[Key::Char('q'), Key::Interrupt], Command::Quit, "leave; the daemon goes on", Some("quit")),
    on(&[Tab::Peers], &[Key::Char('p')], Command::Ping, "ping the peer", "ping"),
    on(
        &[Tab::Tunnels],
        &[Key::Char('y')],
        Command::Copy,
        "copy the tunnel's URL to the terminal's clipboard",
        "copy URL",
    ),
    on(&[Tab::Tunnels], &[Key::Char('x')], Command::Close, "close the tunnel", "close"),
    on(&[Tab::Members], &[Key::Char('x')], Command::Revoke, "remove the node, or revoke the grant", "revoke"),
    on(ROWS, &[Key::Enter], Command::Details, "show all about the row", "details"),
    on(ROWS, &[Key::Char('/')], Command::Filter, "show only rows with certain words", "filter"),
    on(ROWS, &[Key::Char('s')], Command::Sort, "sort by the next column", "sort"),
    on_all(&[Key::Char('S')], Command::Reverse, "sort the other way round", None),
    on_all(&[Key::Char(' ')], Command::Freeze, "freeze what is shown, and go on", Some("freeze")),
    on_all(&[Key::Escape], Command::Back, "close what is on top, or drop the filter", None),
    on_all(NUMBERS, Command::Number, "go to the tab of that number", None),
    on_all(&[Key::Tab, Key::Char('l')], Command::Next, "go to the next tab", None),
    on_all(&[Key::BackTab, Key::Char('H')], Command::Previous, "go to the tab before", None),
    on_all(&[Key::Up, Key::Char('k')], Command::Move(Step::Up), "go a row up", None),
    on_all(&[Key::Down, Key::Char('j')], Command::Move(Step::Down), "go a row down", None),
    on_all(&[Key::PageUp], Command::Move(Step::PageUp), "go a page up", None),
    on_all(&[Key::PageDown], Command::Move(Step::PageDown), "go a page down", None),
    on_all(&[Key::Home, Key::Char('g')], Command::Move(Step::First), "go to the first row", None),
    on_all(&[Key::End, Key::Char('G')], Command::Move(Step::Last), "go to the last row", None),
];

/// What a key asks for on what is shown now.
pub(super) fn command(state: &State, key: Key) -> Option<Command> {
    let command = available(state).find(|binding| binding.keys.contains(&key))?.command;
    let number = NUMBERS.iter().position(|number| *number == key);
    match (command, number.and_then(|number| Tab::ALL.get(number))) {
        (Command::Number, Some(tab)) => Some(Command::Go(*tab)),
        (Command::Number, None) => None,
        (other, _) => Some(other),
    }
}

/// The keys that work on what is shown now.
pub(super) fn available(state: &State) -> impl Iterator<Item = &'static Binding> {
    BINDINGS.iter().filter(|binding| binding.works(state))
}

fn name(key: Key) -> String {
    let word = match key {
        Key::Char(' ') => "space",
        Key::Char(letter) => return letter.to_string(),
        Key::Enter => "enter",
        Key::Escape => "esc",
        Key::Tab => "tab",
        Key::BackTab => "shift-tab",
        Key::Backspace => "backspace",
        Key::Up => "up",
        Key::Down => "down",
        Key::PageUp => "pgup",
        Key::PageDown => "pgdn",
        Key::Home => "home",
        Key::End => "end",
        Key::Interrupt => "ctrl-c",
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_on_one_tab() {
        for tab in Tab::ALL {
            let mut state = State::default();
            state.tab = tab;
            let keys: Vec<Key> = available(&state).flat_map(|binding| binding.keys).copied().collect();
            for (at, key) in keys.iter().enumerate() {
                assert!(!keys[at + 1..].contains(key), "{key:?} on {tab:?}");
            }
        }
    }
}
