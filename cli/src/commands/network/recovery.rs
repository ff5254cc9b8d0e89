//! Recovery keys: making one, and coming back by one.

use coconet::control::{Network, Recover, RecoveryKey};
use coconet::name::Name;
use coconet::recovery::Recovery;

use super::{become_node, joined};
use crate::args;
use crate::client::SLOW;
use crate::commands::{Context, network_path, status};
use crate::fail::Fail;
use crate::interrupt::UnderWay;
use crate::secret::Secret;

const SECRET: Secret = Secret { what: "recovery key", command: "network recover", shown: false };

pub(super) async fn make(context: &Context, name: &Name) -> Result<(), Fail> {
    context.begin(UnderWay::Change(format!("{} network members {name}", context.me())));
    let path = network_path(name, "recovery-key");
    let answer = context.during("waiting for the manager", context.client.ask::<RecoveryKey>(&path)).await?;
    let made = &answer.value;
    // It is printed once: better nothing than a key that opens nothing on the day it is needed.
    if made.key.contains(char::is_whitespace) || made.key.parse::<Recovery>().is_err() {
        return Err(Fail::failed("the daemon's answer is no recovery key").hint("look at the daemon's log"));
    }
    context.out.answer(&answer, |made| [made.key.clone()])?;
    if !context.out.json {
        context.out.note(&format!(
            "warning: printed this once and kept nowhere; whoever has it is the owner of {name}: keep it offline"
        ));
        context.out.hint(&format!("{} node remove {name} {}, if it is lost", context.me(), made.node));
    }
    Ok(())
}

pub(super) async fn recover(context: &Context, recover: args::Recover) -> Result<(), Fail> {
    let key = SECRET.read(context, recover.key, recover.file).await?;
    let network = match key.parse::<Recovery>() {
        Ok(recovery) => recovery.network.full(),
        Err(error) => {
            return Err(Fail::usage("this is no recovery key")
                .because(error)
                .hint("type it as network recovery-key printed it, or paste it whole"));
        }
    };
    let request = Recover { key, node_name: recover.node_name };
    let asking = context.client.post::<Network>("/v1/recover", &request, SLOW);
    let answer = become_node(context, "recovered", network, asking).await?;
    context.out.answer(&answer, |network| [joined("recovered", network)])?;
    status::hint_next(context, std::slice::from_ref(&answer.value), &[]);
    Ok(())
}
