//! What a manager says about the relay's use: told to people, and believed only where it makes sense.

use coconet::control::{QuotaWarning, Usage};
use coconet::id::NodeId;
use coconet::wire::manager::{DayUsage, NodeUsage, Response};

use crate::liar::Liar;
use crate::support::net::{App, HOME, Net};
use crate::support::wait::{PATIENCE, is, until};

/// A network at a manager that says what a test wants.
fn scene() -> (Net, Liar, App) {
    let (net, liar) = (Net::new(), Liar::start());
    let camera = net.app("camera");
    camera.create(HOME, &liar.address);
    (net, liar, camera)
}

/// A page of a month's usage.
fn page(month: u32, day: u8, node: NodeId, more: bool) -> Response {
    Response::Usage {
        month,
        plan: Some("free".into()),
        limit: Some(100),
        used: 50,
        whole: true,
        days: vec![DayUsage { day, bytes: 50 }],
        nodes: vec![NodeUsage { node, sent: 20, received: 30 }],
        more,
    }
}

#[test]
fn a_warning_is_an_event_once_and_stays_in_the_status() {
    let (net, liar, camera) = scene();
    let quota = || camera.network(HOME).manager.quota;
    assert_eq!(quota(), None);
    for (used, limit, events) in [(81, 100, 1), (85, 100, 1), (100, 100, 2), (120, 100, 2)] {
        liar.warns(used, limit);
        until("the warning", PATIENCE, || {
            is(quota() == Some(QuotaWarning { used, limit }), format!("{:?}", quota()))
        });
        let log = net.lab.log("camera");
        assert_eq!(log.matches("kind=\"quota\"").count(), events, "after {used} of {limit}");
    }
    assert!(
        camera.ok(&["status"]).contains("WARNING   the 100 B that may be relayed in a month are used up")
    );
}

#[test]
fn pages_are_put_together_and_nodes_have_names() {
    let (_net, liar, camera) = scene();
    let own: NodeId = camera.network(HOME).node.id.parse().unwrap();
    let Response::Usage { month, plan, limit, used, whole, nodes, .. } = page(202_607, 1, own, false) else {
        unreachable!()
    };
    let second = Response::Usage { month, plan, limit, used, whole, nodes, days: Vec::new(), more: false };
    liar.tells_usage(vec![page(202_607, 31, NodeId([7; 32]), true), second]);
    let usage: Usage = camera.json(&["usage", HOME]);
    assert_eq!((usage.month.as_str(), usage.limit, usage.used), ("2026-07", Some(100), 50));
    assert_eq!(usage.days.iter().map(|day| day.day.as_str()).collect::<Vec<_>>(), ["2026-07-31"]);
    let users: Vec<_> = usage.nodes.iter().map(|node| node.user.is_some()).collect();
    assert_eq!(users, [false, true], "one is no member any more");
    assert_eq!(usage.nodes[1].name.as_str(), "camera");
}

#[test]
fn an_answer_that_makes_no_sense_is_an_error_and_no_more() {
    let (_net, liar, camera) = scene();
    let own: NodeId = camera.network(HOME).node.id.parse().unwrap();
    for (answers, why) in [
        (vec![page(202_613, 1, own, false)], "makes no sense"),
        (vec![page(202_602, 30, own, false)], "makes no sense"),
        (vec![page(202_607, 0, own, false)], "makes no sense"),
        (vec![page(202_607, 1, own, true); 1000], "makes no sense"),
        (vec![page(202_607, 1, own, true)], "broke off"),
        (vec![Response::Online(Vec::new())], "another question"),
        (Vec::new(), "broke off"),
    ] {
        liar.tells_usage(answers.clone());
        let said = camera.refused(&[1, 6], &["usage", HOME]);
        assert!(said.contains(why), "{why}: {said}");
    }
    camera.refused(&[2], &["usage", HOME, "--month", "2026-13"]);
}
