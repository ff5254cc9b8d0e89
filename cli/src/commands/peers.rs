//! `peers`: the nodes this one is, or wants to be, connected to.

use coconet::control::{ErrorKind, Networks, PeerOf, Peers, VERSION};
use coconet::name::Name;

use super::{Context, status, watch};
use crate::args::Watch;
use crate::client::Answer;
use crate::fail::Fail;

pub(super) async fn run(context: &Context, network: Option<&Name>, watch: Watch) -> Result<(), Fail> {
    watch::run(
        context,
        watch,
        async || ask(context, network).await,
        |peers| {
            let all: Vec<_> = peers.peers.iter().map(|of| of.peer.clone()).collect();
            let lines = status::peers(&all);
            if lines.is_empty() { vec!["no peers".to_owned()] } else { lines }
        },
    )
    .await
}

async fn ask(context: &Context, network: Option<&Name>) -> Result<Answer<Peers>, Fail> {
    let networks = context.client.get::<Networks>("/v1/networks").await?.value.networks;
    if let Some(name) = network
        && !networks.iter().any(|one| one.name == *name)
    {
        return Err(Fail::new(ErrorKind::NotFound, format!("this daemon has joined no network {name}"))
            .hint(format!("{} network list", context.me())));
    }
    let meant = networks.into_iter().filter(|one| network.is_none_or(|name| one.name == *name));
    let of = |network: coconet::control::Network| {
        let name = network.name;
        network.peers.into_iter().map(move |peer| PeerOf { network: name.clone(), peer })
    };
    let value = Peers { version: VERSION, peers: meant.flat_map(of).collect() };
    let json = serde_json::to_string(&value)
        .map_err(|error| Fail::failed("cannot write the result").because(error))?;
    Ok(Answer { json, value })
}
