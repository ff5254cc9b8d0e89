//! `node`: the nodes of a network.

use coconet::control::{Change, Done};

use super::{Context, change_and_tell, network_path};
use crate::args::Node;
use crate::client::segment;
use crate::fail::Fail;
use crate::interrupt::UnderWay;

pub(super) async fn run(context: &Context, command: Node) -> Result<(), Fail> {
    match command {
        Node::Remove { network, node } => {
            let path = network_path(&network, &format!("nodes/{}", segment(node.as_str())));
            context.begin(UnderWay::Change(format!("{} network members {network}", context.me())));
            let asking = context.client.delete::<Done>(&path);
            let answer = context.during("waiting for the manager", asking).await?;
            context.out.answer(&answer, |done| [done.message.clone()])
        }
        Node::Rename { network, node, to } => {
            let change = Change::RenameNode { node: node.as_str().to_owned(), to };
            change_and_tell(context, &network, &change).await
        }
    }
}
