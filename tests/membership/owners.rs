//! Owners: the last one stays, and a piece of paper is enough to come back.

use coconet::control::Members;
use coconet::role::Role;

use crate::support::net::{HOME, Net};
use crate::support::process::run;
use crate::support::wait::PATIENCE;

#[test]
fn the_last_owner_who_can_sign_is_not_removed_or_demoted() {
    let net = Net::new();
    let owner = net.app("owner");
    owner.create(HOME, &net.address);
    let others: [&[&str]; 3] = [
        &["network", "role", HOME, "owner", "guest"],
        &["network", "remove", HOME, "owner"],
        &["node", "remove", HOME, "owner"],
    ];
    for words in others {
        let told = owner.refused(&[4], words);
        assert!(told.contains("last owner"), "{told}");
    }
    let told = owner.refused(&[4], &["network", "leave", HOME]);
    assert!(told.contains("--forget"), "{told}");
}

#[test]
fn a_recovery_key_brings_the_owner_back_when_all_else_is_lost() {
    let net = Net::new();
    let (owner, again) = (net.app("owner"), net.app("again"));
    owner.create(HOME, &net.address);
    let key = owner.ok(&["network", "recovery-key", HOME]);
    assert!(key.starts_with("cocorec1") && !key.contains(char::is_whitespace), "not the key alone");
    // The keys are gone, and nobody was told.
    owner.ok(&["network", "leave", HOME, "--forget"]);

    let ran = run(&mut again.ctl_command(&["network", "recover", "-"]), key.as_bytes(), PATIENCE);

    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(!ran.stdout.contains("cocorec1") && !ran.stderr.contains("cocorec1"), "the key was shown");
    again.wait_online();
    let network = again.network(HOME);
    assert_eq!((network.node.role, network.node.user.as_str()), (Role::Owner, "owner"));
    // The old node can be removed now, because another owner key can sign.
    again.ok(&["node", "remove", HOME, "owner"]);
    let members: Members = again.json(&["network", "members", HOME]);
    assert_eq!(members.users[0].nodes.len(), 2, "{members:?}");
    assert!(again.invite(HOME, &["--device"]).starts_with("coco1"));
}

#[test]
fn a_network_is_not_given_to_a_manager_that_does_not_have_it() {
    let (net, elsewhere) = (Net::new(), Net::new());
    let owner = net.app("owner");
    owner.create(HOME, &net.address);

    let told = owner.refused(&[2], &["network", "managers", HOME, &elsewhere.address]);
    assert!(told.contains("none of these is the manager of home"), "{told}");

    // Another place of the same one is fine, and what the ledger goes on with.
    let (keys, _) = net.address.split_once('@').unwrap();
    owner.ok(&["network", "managers", HOME, &format!("{keys}@moved.example:4433"), &net.address]);
    assert!(owner.invite(HOME, &["--device"]).starts_with("coco1"));
}
