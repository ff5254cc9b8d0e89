//! Invites: making, listing and revoking them, and joining by one.

use coconet::control::{Change, CreateInvite, InvitePurpose, Invited, Invites, JoinNetwork, Network};
use coconet::invite::{Invitation, InviteError};
use coconet::name::Name;
use coconet::scope::Scope;

use super::{become_node, joined};
use crate::args::{Instead, Invite, InviteRef, Join};
use crate::client::SLOW;
use crate::commands::status::with_scope;
use crate::commands::{Context, change_and_tell, network_path, status};
use crate::fail::Fail;
use crate::interrupt::UnderWay;
use crate::secret::Secret;
use crate::table::Table;
use crate::{duration, qr, units};

const PREFIX: &str = "coco1";

const SECRET: Secret = Secret { what: "invite", command: "network join", shown: true };

pub(super) async fn invite(context: &Context, invite: Invite) -> Result<(), Fail> {
    match (invite.instead, &invite.id) {
        (Some(Instead::List), None) => return list(context, &invite.name).await,
        (Some(Instead::List), Some(_)) => {
            return Err(Fail::usage("a list is of all invites: it takes no id").hint(format!(
                "{} network invite {} list",
                context.me(),
                invite.name
            )));
        }
        (Some(Instead::Revoke), Some(id)) => return revoke(context, &invite.name, id).await,
        (Some(Instead::Revoke) | None, _) => {}
    }
    let (purpose, whom) = match (invite.user, invite.role) {
        (Some(user), Some(role)) => {
            let whom = format!("an app of {user}, as {role}");
            (InvitePurpose::User { user, role }, whom)
        }
        _ if invite.device => {
            (InvitePurpose::Device { publish: !invite.no_publish }, "a device of yours".to_owned())
        }
        _ => (InvitePurpose::SelfApp, "your next app".to_owned()),
    };
    let only = (!invite.only.is_empty()).then(|| Scope::new(invite.only)).transpose();
    let only = only.map_err(|error| {
        let hint = format!("{} network invite --help shows an example", context.me());
        Fail::usage("this is no scope").because(error).hint(hint)
    })?;
    let request = CreateInvite {
        purpose,
        uses: invite.uses,
        expires_s: invite.expires.as_secs(),
        node_name: invite.node_name,
        only,
    };
    let path = network_path(&invite.name, "invites");
    context.begin(UnderWay::Change(format!("{} network invites {}", context.me(), invite.name)));
    let asking = context.client.post::<Invited>(&path, &request, SLOW);
    let answer = context.during("waiting for the manager", asking).await?;
    let invited = &answer.value;
    if !invited.invite.starts_with(PREFIX) || !invited.invite.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Fail::failed("the daemon's answer is no invite").hint("look at the daemon's log"));
    }
    context.out.answer(&answer, |invited| [invited.invite.clone()])?;
    if !context.out.json {
        context.out.note(&format!(
            "a secret: whoever has it can join {} as {whom}, {}, until {} ({})",
            invite.name,
            if invited.uses == 1 { "once".to_owned() } else { format!("{} times", invited.uses) },
            units::date(invited.expires_ms),
            duration::text(invite.expires),
        ));
        context.out.hint("cococtl network join -, on the other machine, with the invite on its stdin");
    }
    if invite.qr { draw(context, &invited.invite) } else { Ok(()) }
}

/// The invite was made and printed: what cannot be drawn is not lost.
fn draw(context: &Context, invite: &str) -> Result<(), Fail> {
    let code = qr::of_invite(invite).ok_or_else(|| {
        Fail::failed(format!("an invite of {} characters is too long for a QR code", invite.len()))
            .because("a network with many managers, or long host names, makes long invites")
            .hint("the invite itself was printed and works: cococtl network join -, on the other machine")
    })?;
    context.out.draw(&code);
    Ok(())
}

pub(super) async fn list(context: &Context, name: &Name) -> Result<(), Fail> {
    let answer = context.client.get::<Invites>(&network_path(name, "invites")).await?;
    context.out.answer(&answer, |invites| {
        let mut table = Table::new(&["FOR", "INVITER", "LEFT", "UNTIL", "ID"]);
        for invite in &invites.invites {
            table.row([
                with_scope(invite.purpose.clone(), invite.only.as_ref()),
                invite.inviter.to_string(),
                invite.left.to_string(),
                units::date(invite.expires_ms),
                invite.id.clone(),
            ]);
        }
        table.lines()
    })?;
    if answer.value.invites.is_empty() {
        context.out.hint(&format!("{} network invite {name} --self, or --device, or --user", context.me()));
    }
    Ok(())
}

pub(super) async fn revoke(context: &Context, name: &Name, invite: &InviteRef) -> Result<(), Fail> {
    change_and_tell(context, name, &Change::RevokeInvite { invite: invite.full() }).await
}

pub(super) async fn join(context: &Context, join: Join) -> Result<(), Fail> {
    let invite = SECRET.read(context, join.invite, join.file).await?;
    let invitation = invite.parse::<Invitation>().map_err(|error| {
        let fail = Fail::usage("this is no invite").because(error);
        match error {
            InviteError::Version => fail.hint("update coco on this machine"),
            InviteError::Prefix | InviteError::Damaged => {
                fail.hint("ask for a new one: cococtl network invite NETWORK --self, on a node that is in it")
            }
        }
    })?;
    let request = JoinNetwork { invite, node_name: join.node_name };
    let asking = context.client.post::<Network>("/v1/join", &request, SLOW);
    let answer = become_node(context, "joined", invitation.network.full(), asking).await?;
    context.out.answer(&answer, |network| [joined("joined", network)])?;
    status::hint_next(context, std::slice::from_ref(&answer.value), &[]);
    Ok(())
}
