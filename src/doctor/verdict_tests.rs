#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;
use crate::surroundings::port_mapping::Means;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn asked(at: &str, second: bool, seen: &str) -> Asked {
    Asked { at: address(at), second, seen: seen.parse().ok() }
}

/// A node at home behind an ordinary NAT.
fn home() -> Facts {
    Facts {
        manager: "manager.example:4433".to_owned(),
        link: ManagerLink::Online,
        link_reason: None,
        rtt: Some(Duration::from_micros(12_345)),
        by_udp: Some(true),
        asked: vec![
            asked("192.0.2.1:4433", false, "198.51.100.7:61000"),
            asked("192.0.2.1:4434", true, "198.51.100.7:61000"),
        ],
        local: ["192.168.1.7".parse().unwrap()].into(),
        listen: vec![address("0.0.0.0:4433")],
        let_in: Some(false),
        hairpin: Some(true),
        port_mapping: Some(port_mapping::State::None("silence".to_owned())),
        mtu: Some(1452),
        peers: vec![("camera".parse().unwrap(), 1452)],
        tls: Tls::Manager,
        lan: lan::State::On(1),
        skew_ms: Some(-1500),
    }
}

/// Status and find of one check.
fn found(facts: &Facts, name: &str) -> (CheckStatus, Option<String>) {
    let check = judge(facts).into_iter().find(|check| check.check == name).unwrap();
    (check.status, check.found)
}

fn is(facts: &Facts, name: &str, status: CheckStatus, what: &str) {
    let (found_status, found) = found(facts, name);
    assert_eq!((found_status, found.as_deref().unwrap_or("")), (status, what), "{name}");
}

use CheckStatus::{Failed, Ok as Fine, Unknown, Warning};

#[test]
fn an_ordinary_home_is_well() {
    let checks = judge(&home());
    assert!(checks.iter().all(|check| check.status == Fine && check.hint.is_none()), "{checks:#?}");
    let names: Vec<&str> = checks.iter().map(|check| check.check.as_str()).collect();
    let expected = [
        "manager",
        "udp",
        "mapping",
        "filtering",
        "hairpinning",
        "port-mapping",
        "ipv4",
        "ipv6",
        "mtu",
        "mtu",
        "tls-fallback",
        "captive-portal",
        "lan",
        "clock",
    ];
    assert_eq!(names, expected);
    is(&home(), "manager", Fine, "12.3 ms");
    is(&home(), "mapping", Fine, "endpoint-independent");
    is(&home(), "filtering", Fine, "address and port-dependent");
    is(&home(), "ipv6", Fine, "none");
    is(&home(), "clock", Fine, "-1 s");
    assert_eq!(checks[9].peer.as_ref().unwrap().as_str(), "camera");
}

#[test]
fn a_nat_that_takes_another_port_for_each_destination_is_symmetric() {
    let mut facts = home();
    facts.asked[1].seen = Some(address("198.51.100.7:61001"));
    is(&facts, "mapping", Warning, "address and port-dependent");
    is(&facts, "filtering", Warning, "address and port-dependent");
    is(&facts, "port-mapping", Warning, "none");
    facts.port_mapping = Some(port_mapping::State::Mapped("198.51.100.7:4433".parse().unwrap(), Means::Pcp));
    is(&facts, "port-mapping", Fine, "PCP");
}

#[test]
fn without_a_second_answer_mapping_is_not_guessed() {
    let mut facts = home();
    facts.asked[1].seen = None;
    is(&facts, "mapping", Unknown, "");
    facts.asked.pop();
    is(&facts, "mapping", Unknown, "");
    // An address of its own is none of a NAT's, whoever saw it.
    facts.asked[0].seen = Some(address("192.168.1.7:4433"));
    is(&facts, "mapping", Fine, "none");
    is(&facts, "hairpinning", Fine, "not needed");
}

#[test]
fn a_public_address_of_another_port_is_behind_a_nat() {
    let mut facts = home();
    for asked in &mut facts.asked {
        asked.seen = Some(address("192.168.1.7:61000"));
    }
    is(&facts, "mapping", Fine, "endpoint-independent");
}

#[test]
fn filtering_is_what_an_unasked_packet_shows() {
    let mut facts = home();
    facts.let_in = Some(true);
    is(&facts, "filtering", Fine, "endpoint-independent or address-dependent");
    facts.let_in = None;
    is(&facts, "filtering", Unknown, "");
}

#[test]
fn udp_is_blocked_when_the_manager_answers_by_tls_alone() {
    let mut facts = home();
    facts.asked.iter_mut().for_each(|asked| asked.seen = None);
    facts.by_udp = Some(false);
    is(&facts, "udp", Failed, "no");
    is(&facts, "ipv4", Unknown, "");
    facts.by_udp = None;
    is(&facts, "udp", Unknown, "");
}

#[test]
fn a_manager_that_is_away_is_the_failure() {
    let mut facts = home();
    facts.asked.clear();
    (facts.link, facts.rtt, facts.by_udp, facts.mtu) = (ManagerLink::Offline, None, None, None);
    (facts.let_in, facts.hairpin, facts.skew_ms) = (None, None, None);
    facts.link_reason = Some("the manager at x does not answer".to_owned());
    facts.tls = Tls::Nobody("connection refused".to_owned());
    let failed: Vec<String> =
        judge(&facts).into_iter().filter(|check| check.status == Failed).map(|check| check.check).collect();
    assert_eq!(failed, ["manager"]);
    is(&facts, "captive-portal", Unknown, "");
    is(&facts, "mtu", Unknown, "");
    is(&facts, "clock", Unknown, "");
}

#[test]
fn whoever_answers_tls_for_the_manager_is_a_captive_portal() {
    let mut facts = home();
    facts.tls = Tls::Foreign;
    is(&facts, "captive-portal", Failed, "yes");
    is(&facts, "tls-fallback", Warning, "no");
}

#[test]
fn one_family_that_does_not_get_through_is_told_where_the_other_does() {
    let mut facts = home();
    facts.local.insert("2001:db8::7".parse().unwrap());
    facts.asked.push(asked("[2001:db8::1]:4433", false, ""));
    is(&facts, "ipv6", Warning, "no");
    facts.asked[2].seen = Some(address("[2001:db8::7]:4433"));
    is(&facts, "ipv6", Fine, "yes");
    facts.asked.pop();
    is(&facts, "ipv6", Unknown, "");
    facts.local = ["fe80::1".parse().unwrap(), "192.168.1.7".parse().unwrap()].into();
    is(&facts, "ipv6", Fine, "none");
}

#[test]
fn a_clock_is_wrong_beyond_two_minutes() {
    let mut facts = home();
    for (skew, status, found) in [
        (-999, Fine, "0 s"),
        (119_999, Fine, "+119 s"),
        (-120_000, Fine, "-120 s"),
        (120_001, Warning, "+120 s"),
        (-400_000, Warning, "-400 s"),
    ] {
        facts.skew_ms = Some(skew);
        is(&facts, "clock", status, found);
    }
}

#[test]
fn small_packets_hairpins_and_double_nats_are_told() {
    let mut facts = home();
    facts.mtu = Some(1200);
    is(&facts, "mtu", Warning, "1200");
    facts.hairpin = Some(false);
    is(&facts, "hairpinning", Fine, "no");
    facts.lan = lan::State::Off;
    is(&facts, "hairpinning", Warning, "no");
    facts.port_mapping = Some(port_mapping::State::Inside("10.0.0.1".parse().unwrap(), Means::Upnp));
    is(&facts, "port-mapping", Warning, "useless");
    facts.port_mapping = None;
    is(&facts, "port-mapping", Fine, "off");
}

#[test]
fn whatever_is_not_well_says_what_can_be_done() {
    let mut facts = home();
    facts.asked[1].seen = Some(address("198.51.100.7:61001"));
    (facts.link, facts.rtt, facts.mtu, facts.skew_ms) =
        (ManagerLink::Offline, None, Some(1200), Some(1_000_000));
    (facts.tls, facts.lan) = (Tls::Foreign, lan::State::Failed("no socket".to_owned()));
    for check in judge(&facts) {
        // What filtering is is said where mapping is, which it comes from.
        let hinted = check.hint.is_some() || check.check == "filtering";
        assert_eq!(
            hinted,
            matches!(check.status, Failed | Warning) || check.check == "filtering",
            "{check:?}"
        );
        assert!(!check.reason.is_empty() && !check.reason.ends_with('.'), "{check:?}");
    }
}
