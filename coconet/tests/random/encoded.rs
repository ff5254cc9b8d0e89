//! What is written is read back.

use core::fmt::Debug;

use coconet::cbor;
use coconet::control::{CreateInvite, Expose, InvitePurpose};
use coconet::grant::Capabilities;
use coconet::invite::Invitation;
use coconet::key::InviteSecret;
use coconet::service::ServiceOptions;
use coconet::wire::node;
use minicbor::{Decode, Encode};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::net;
use crate::values::{
    a_name, address, answered, asked, bytes32, entry, hello, network, op, reply, role, stream_request,
};

/// Encode and decode give the value back.
fn survives<T>(value: &T) -> Result<(), TestCaseError>
where
    T: for<'b> Decode<'b, ()> + Encode<()> + PartialEq + Debug,
{
    let bytes = cbor::encode(value);
    let back = cbor::decode::<T>(&bytes, usize::MAX);
    prop_assert_eq!(back.as_ref(), Ok(value));
    Ok(())
}

proptest! {
    #[test]
    fn a_ledger_object_survives_its_encoding(op in op(), entry in entry()) {
        survives(&op)?;
        survives(&entry)?;
        prop_assert!(net::ledger_entry(&op.to_bytes()) && net::ledger_entry(&entry.to_bytes()));
    }

    #[test]
    fn a_message_survives_its_encoding(
        hello in hello(),
        request in stream_request(),
        reply in reply(),
        asked in asked(),
        answered in answered(),
    ) {
        survives(&hello)?;
        survives(&node::Greeting::Entry(cbor::encode(&hello)))?;
        survives(&node::Greeting::View(hello.head))?;
        survives(&request)?;
        survives(&reply)?;
        survives(&asked)?;
        survives(&answered)?;
    }

    #[test]
    fn a_text_survives_being_printed(
        address in address(),
        managers in vec(address(), 1..9),
        network in network(),
        seed in bytes32(),
        expires: u64,
    ) {
        prop_assert_eq!(address.to_string().parse(), Ok(address));
        let secret = InviteSecret::from_seed(&seed);
        let invitation = Invitation { network, managers, secret, expires };
        let text = invitation.to_text();
        prop_assert!(net::invite(text.as_bytes()));
        let back: Invitation = text.parse().unwrap();
        prop_assert_eq!((back.network, back.expires), (network, expires));
        prop_assert_eq!(back.managers, invitation.managers);
        prop_assert_eq!(back.secret.to_seed(), invitation.secret.to_seed());
    }

    #[test]
    fn a_request_to_the_daemon_survives_its_json(
        url in "\\PC{0,60}",
        name in a_name(),
        network in proptest::option::of(a_name()),
        user in a_name(),
        role in role(),
        publish: bool,
        which in 0..3,
        uses: u32,
        expires_s: u64,
    ) {
        let purpose = match which {
            0 => InvitePurpose::Device { publish },
            1 => InvitePurpose::SelfApp,
            _ => InvitePurpose::User { user, role },
        };
        let invite = CreateInvite { purpose, uses, expires_s, node_name: network.clone(), only: None };
        let back = serde_json::from_slice(&serde_json::to_vec(&invite).unwrap());
        prop_assert_eq!(back.ok(), Some(invite));
        let login = Some("admin:se cret".parse().unwrap());
        let options = ServiceOptions { max_clients: Some(uses), share: publish, ..ServiceOptions::default() };
        let can = Some(Capabilities::new(vec!["play".to_owned()]).unwrap());
        let expose = Expose { url, name, network, can, login, options };
        let back = serde_json::from_slice(&serde_json::to_vec(&expose).unwrap());
        prop_assert_eq!(back.ok(), Some(expose));
    }
}
