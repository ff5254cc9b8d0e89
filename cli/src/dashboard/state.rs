//! What the dashboard knows and shows. Pure: a value that [`super::update()`] changes and [`super::view`] draws.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use coconet::control::{Event, Examined, Grants, Members, Network, Status, Usage};
use coconet::name::Name;
use ratatui::layout::Rect;

use super::rows::{self, Table};

/// Round trips that are kept of each peer, one for each look at the daemon.
pub(super) const ROUND_TRIPS: usize = 30;

/// Events that are kept, the newest.
pub(super) const EVENTS_MAX: usize = 1000;

/// Longest filter, in characters.
pub(super) const FILTER_MAX: usize = 64;

/// Everything.
#[derive(Debug, Default)]
pub(super) struct State {
    /// What the daemon said.
    facts: Facts,
    /// What it had said when the screen was frozen.
    frozen: Option<Facts>,
    /// Why the daemon does not answer, when it does not.
    pub(super) lost: Option<String>,
    pub(super) tab: Tab,
    lists: [List; Tab::ALL.len()],
    /// The rows that were shown last, and what they were made of.
    made: RefCell<Option<(Recipe, Rc<Table>)>>,
    pub(super) overlay: Overlay,
    /// What came of the last action.
    pub(super) told: Option<String>,
    /// How large the screen is.
    pub(super) screen: Rect,
    /// Whether colours may be used.
    pub(super) colours: bool,
}

/// All that rows depend on.
#[derive(Debug, PartialEq, Eq)]
struct Recipe {
    tab: Tab,
    version: u64,
    sort: Option<usize>,
    reverse: bool,
    filter: String,
}

/// What the daemon said, and what follows from saying it again and again.
#[derive(Debug, Default, Clone)]
pub(super) struct Facts {
    /// Another one whenever something was added.
    version: u64,
    pub(super) now_ms: u64,
    pub(super) status: Option<Status>,
    pub(super) members: BTreeMap<Name, Members>,
    pub(super) grants: BTreeMap<Name, Grants>,
    pub(super) usage: BTreeMap<Name, Usage>,
    /// What stands between this node and the others.
    pub(super) examined: BTreeMap<Name, Examined>,
    /// The newest last.
    pub(super) events: VecDeque<Event>,
    /// Of each peer, in microseconds; the newest last, and `None` where it was not connected.
    pub(super) round_trips: BTreeMap<String, VecDeque<Option<u64>>>,
    /// Bytes a second of each tunnel, in and out.
    pub(super) rates: BTreeMap<String, Rate>,
}

/// What goes through a tunnel.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

/// The tabs, in their order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    #[default]
    Overview,
    Peers,
    Tunnels,
    Members,
    Relay,
    Events,
}

/// How the rows of one tab are looked at.
#[derive(Debug, Default, Clone)]
pub(super) struct List {
    /// The row that is selected, by its key: it stays selected wherever it moves.
    pub(super) selected: Option<String>,
    /// Where it was, for when it is gone.
    pub(super) place: usize,
    /// The column that sorts; the order of the daemon without one.
    pub(super) sort: Option<usize>,
    pub(super) reverse: bool,
    /// Words that a row must have, in any case of letters.
    pub(super) filter: String,
}

/// What lies on top of the tab.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) enum Overlay {
    #[default]
    None,
    Help,
    /// All about the selected row, scrolled by so many lines.
    Details(usize),
    /// The filter is being written.
    Filter,
    /// Is that meant?
    Confirm(Action),
}

/// What is done to the network only after a confirmation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    Close { network: Name, id: String, resource: Name },
    Remove { network: Name, node: String, name: Name },
    Revoke { network: Name, user: Name, resource: Name },
}

impl Action {
    /// As a question.
    pub(super) fn question(&self) -> String {
        match self {
            Self::Close { network, resource, id } => format!("close {resource} of {network} ({id})?"),
            Self::Remove { network, name, .. } => {
                format!("remove {name} from {network}? It cannot come back without a new invite.")
            }
            Self::Revoke { network, user, resource } => {
                format!("revoke what {user} may do with {resource} in {network}?")
            }
        }
    }
}

impl Tab {
    pub(super) const ALL: [Self; 6] =
        [Self::Overview, Self::Peers, Self::Tunnels, Self::Members, Self::Relay, Self::Events];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Peers => "Peers",
            Self::Tunnels => "Tunnels",
            Self::Members => "Members",
            Self::Relay => "Relay",
            Self::Events => "Events",
        }
    }

    /// So many tabs on, around the end.
    pub(super) fn on(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }
}

impl State {
    /// With or without colours, on a screen of this size.
    pub(super) fn new(colours: bool, screen: Rect) -> Self {
        Self { colours, screen, ..Self::default() }
    }

    /// What is shown: the newest, or what was when the screen was frozen.
    pub(super) fn shown(&self) -> &Facts {
        self.frozen.as_ref().unwrap_or(&self.facts)
    }

    /// The newest, to add to.
    pub(super) fn newest(&mut self) -> &mut Facts {
        self.facts.version += 1;
        &mut self.facts
    }

    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = match self.frozen.take() {
            Some(_) => None,
            None => Some(self.facts.clone()),
        };
    }

    pub(super) fn list(&self) -> &List {
        &self.lists[self.tab as usize]
    }

    pub(super) fn list_mut(&mut self) -> &mut List {
        &mut self.lists[self.tab as usize]
    }

    /// The rows of the tab as they are shown: filtered and sorted. They are made once for what they are made of.
    pub(super) fn table(&self) -> Rc<Table> {
        let List { sort, reverse, filter, .. } = self.list().clone();
        let recipe = Recipe { tab: self.tab, version: self.shown().version, sort, reverse, filter };
        let mut made = self.made.borrow_mut();
        if let Some((of, table)) = &*made
            && *of == recipe
        {
            return Rc::clone(table);
        }
        let mut table = rows::of(self.tab, self.shown());
        table.filter(&recipe.filter);
        table.sort(sort, reverse);
        let table = Rc::new(table);
        *made = Some((recipe, Rc::clone(&table)));
        table
    }

    /// Which of these rows is selected.
    pub(super) fn selected(&self, table: &Table) -> Option<usize> {
        let list = self.list();
        let last = table.rows.len().checked_sub(1)?;
        let found = list.selected.as_ref().and_then(|key| table.rows.iter().position(|row| row.key == *key));
        Some(found.unwrap_or_else(|| list.place.min(last)))
    }
}

impl Facts {
    pub(super) fn networks(&self) -> &[Network] {
        self.status.as_ref().map_or(&[], |status| &status.networks)
    }
}
