//! `node`: the nodes of a network.

use coconet::control::Done;

use super::Context;
use crate::args::Node;
use crate::client::segment;
use crate::fail::Fail;

pub(super) async fn run(context: &Context, command: Node) -> Result<(), Fail> {
    match command {
        Node::Remove { network, node } => {
            let path = format!("/v1/networks/{}/nodes/{}", segment(network.as_str()), segment(node.as_str()));
            let answer = context.client.delete::<Done>(&path).await?;
            context.out.answer(&answer, |done| [done.message.clone()])
        }
    }
}
