//! What a guest sees, and what it does not.

use coconet::control::{Audit, Log, Members};
use serde_json::Value;

use crate::support::net::{App, HOME, Net};
use crate::support::targets::{echo, serve};
use crate::support::wait::{PATIENCE, is, until};

#[test]
fn a_guest_sees_itself_and_its_grants_and_not_the_others() {
    let net = Net::new();
    let (owner, gina, hugo) = (net.app("owner"), net.app("gina"), net.app("hugo"));
    owner.create(HOME, &net.address);
    gina.join(&owner.invite(HOME, &["--user", "gina", "--role", "guest"]));
    hugo.join(&owner.invite(HOME, &["--user", "hugo", "--role", "guest"]));
    let target = format!("tcp://{}", serve(echo));
    owner.expose(&target, "hers");
    owner.expose(&target, "his");
    owner.ok(&["network", "grant", HOME, "gina", "hers", "--can", "connect"]);
    owner.ok(&["network", "grant", HOME, "hugo", "his", "--can", "connect"]);

    until("gina has it all", PATIENCE, || {
        let (hers, whole): (Audit, Audit) =
            (gina.json(&["network", "audit", HOME]), owner.json(&["network", "audit", HOME]));
        is(hers.seq == whole.seq && hers.head == whole.head, "behind")
    });
    let everything = [
        gina.ok(&["--json", "status"]),
        gina.ok(&["--json", "network", "members", HOME]),
        gina.ok(&["--json", "network", "log", HOME]),
        gina.ok(&["--json", "network", "grants", HOME]),
        gina.ok(&["--json", "network", "invites", HOME]),
    ];
    for text in everything {
        assert!(!text.contains("hugo") && !text.contains("his"), "{text}");
    }
    let log: Log = gina.json(&["network", "log", HOME]);
    let audit: Audit = gina.json(&["network", "audit", HOME]);
    assert_eq!(log.entries.iter().filter(|line| line.what.is_none()).count() as u64, audit.withheld);
    assert!(audit.withheld > 0 && audit.alarm.is_none());
    let members: Members = owner.json(&["network", "members", HOME]);
    assert_eq!(members.users.len(), 3);

    // What it was not granted and what is not there look alike; so do their exit codes.
    let (his, none) =
        (gina.refused(&[4], &["tunnel", "open", "his"]), gina.refused(&[4], &["tunnel", "open", "xyz"]));
    assert_eq!(his.replace("his", "X"), none.replace("xyz", "X"));
    gina.open("hers");
    assert!(
        gina.refused(&[4], &["network", "grant", HOME, "gina", "his", "--can", "connect"])
            .contains("guest may not")
    );
}

#[test]
fn a_guest_that_is_promoted_sees_everything_and_a_demoted_one_no_more() {
    let net = Net::new();
    let (owner, gina) = (net.app("owner"), net.app("gina"));
    owner.create(HOME, &net.address);
    gina.join(&owner.invite(HOME, &["--user", "gina", "--role", "guest"]));
    owner.invite(HOME, &["--user", "hugo", "--role", "guest"]);
    owner.expose(&format!("tcp://{}", serve(echo)), "service");
    gina.refused(&[4], &["tunnel", "open", "service"]);

    owner.ok(&["network", "role", HOME, "gina", "admin"]);

    let withheld = |app: &App| app.json::<Audit>(&["network", "audit", HOME]).withheld;
    until("an admin sees all of it", PATIENCE, || is(withheld(&gina) == 0, "something is withheld"));
    gina.open("service");

    owner.ok(&["network", "role", HOME, "gina", "guest"]);

    until("its tunnel is gone", PATIENCE, || {
        let tunnel: Value = serde_json::to_value(gina.tunnel("service")).unwrap();
        is(tunnel["state"] == "failed", tunnel.to_string())
    });
    gina.ok(&["tunnel", "close", "service"]);
    gina.refused(&[4], &["tunnel", "open", "service"]);
}

/// Wait until this node's copy ends with its own removal, as the log tells it.
fn learns_of_its_removal(app: &App, how: &str) -> Audit {
    until("it has the entry that removed it", PATIENCE, || {
        let log: Log = app.json(&["network", "log", HOME]);
        let last = log.entries.last().and_then(|line| line.what.clone());
        is(last.as_deref() == Some(how), format!("{last:?}"))
    });
    assert!(!app.network(HOME).node.member);
    let told = app.refused(&[8], &["tunnel", "open", "service"]);
    assert!(told.contains("was removed from home"), "{told}");
    let audit: Audit = app.json(&["network", "audit", HOME]);
    assert_eq!(audit.alarm, None);
    audit
}

#[test]
fn who_was_removed_verifies_that_and_takes_nobodys_word_for_it() {
    let net = Net::new();
    let (owner, gina, phone) = (net.app("owner"), net.app("gina"), net.app("phone"));
    let mut hugo = net.app("hugo");
    owner.create(HOME, &net.address);
    gina.join(&owner.invite(HOME, &["--user", "gina", "--role", "guest"]));
    hugo.join(&owner.invite(HOME, &["--user", "hugo", "--role", "guest"]));
    phone.join(&owner.invite(HOME, &["--self"]));
    owner.expose(&format!("tcp://{}", serve(echo)), "service");
    let seq = owner.network(HOME).ledger.seq;
    until("hugo has the service left out", PATIENCE, || is(hugo.network(HOME).ledger.seq == seq, "behind"));
    hugo.kill();

    owner.ok(&["network", "remove", HOME, "gina"]);
    owner.ok(&["node", "remove", HOME, "phone"]);
    // What hugo would see of the service now is not in his copy.
    owner.ok(&["network", "grant", HOME, "hugo", "service", "--can", "connect"]);
    owner.ok(&["network", "remove", HOME, "hugo"]);
    owner.ok(&["network", "invite", HOME, "--self"]);
    hugo.start();

    let whole: Log = owner.json(&["network", "log", HOME]);
    let told = |back: usize| whole.entries[whole.entries.len() - back].what.clone().unwrap();
    assert!(learns_of_its_removal(&gina, &told(5)).withheld > 0, "a guest to the end");
    assert_eq!(learns_of_its_removal(&phone, &told(4)).withheld, 0);
    assert!(learns_of_its_removal(&hugo, &told(2)).withheld > 0, "a guest to the end");
}
