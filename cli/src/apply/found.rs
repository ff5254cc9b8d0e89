//! A network as the daemon shows it, arranged for comparing.

use std::collections::BTreeMap;

use coconet::control::{Direction, Grants, Members, Network, Tunnels};
use coconet::name::Name;
use coconet::role::Role;

use super::{Between, Terms};

/// What there is.
#[derive(Debug)]
pub(crate) struct Found {
    /// Who we are.
    pub(crate) own_user: Name,
    /// The node of the daemon.
    pub(crate) own_node: Name,
    pub(crate) users: BTreeMap<Name, Role>,
    /// Which node offers what.
    pub(crate) offered: BTreeMap<Name, Name>,
    /// What the daemon exposes.
    pub(crate) exposed: BTreeMap<Name, Exposed>,
    pub(crate) grants: BTreeMap<Between, Terms>,
}

/// Something the daemon exposes.
#[derive(Debug)]
pub(crate) struct Exposed {
    /// The tunnel's id.
    pub(crate) id: String,
    /// The target, as a URL.
    pub(crate) url: String,
}

impl Found {
    /// The four answers in one.
    pub(crate) fn new(network: Network, members: Members, tunnels: Tunnels, grants: Grants) -> Self {
        let exposed = tunnels
            .tunnels
            .into_iter()
            .filter(|tunnel| tunnel.network == network.name && matches!(tunnel.direction, Direction::Expose));
        Self {
            own_user: network.node.user,
            own_node: network.node.name,
            users: members.users.into_iter().map(|user| (user.name, user.role)).collect(),
            offered: network.resources.into_iter().map(|resource| (resource.name, resource.node)).collect(),
            exposed: exposed
                .map(|tunnel| {
                    let url = tunnel.target.unwrap_or_default();
                    (tunnel.resource, Exposed { id: tunnel.id, url })
                })
                .collect(),
            grants: grants
                .grants
                .into_iter()
                .map(|line| {
                    let terms = Terms { can: line.can, when: line.when, until_ms: line.until_ms };
                    ((line.user, line.resource), terms)
                })
                .collect(),
        }
    }
}
