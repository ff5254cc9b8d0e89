//! What `cococtl doctor` says in each kind of home.

use std::collections::BTreeMap;
use std::sync::Arc;

use coco_lab::Site;
use coconet::control::{Check, CheckStatus, Doctor};

use crate::support::net::{App, HOME};
use crate::world::World;

const INDEPENDENT: &str = "endpoint-independent";
const DEPENDENT: &str = "address and port-dependent";

/// What is found out in a network that this app has founded, by name; the exit status is checked as well.
fn examined(app: &App) -> BTreeMap<String, Check> {
    let ran = app.ctl(&["--json", "doctor", HOME]);
    let doctor: Doctor = serde_json::from_str(&ran.stdout).unwrap();
    let [examined] = doctor.networks.try_into().unwrap();
    let failed = examined.checks.iter().any(|check| check.status == CheckStatus::Failed);
    assert_eq!(ran.code, i32::from(failed), "{}", ran.stderr);
    examined.checks.into_iter().map(|check| (check.check.clone(), check)).collect()
}

/// Statuses and finds of some of them, as one line to compare.
fn said(checks: &BTreeMap<String, Check>, names: &[&str]) -> String {
    let said = names.iter().map(|name| {
        let check = &checks[*name];
        format!("{name} {} {}", check.status.as_str(), check.found.as_deref().unwrap_or("-"))
    });
    said.collect::<Vec<_>>().join(", ")
}

/// The app of a host at such a site, which founds a network.
fn app(world: &World, site: Site, name: &str) -> App {
    let site = world.internet.site(site);
    let app = world.app_at(&site, site.host(name));
    app.create(HOME, &world.address);
    app
}

#[test]
fn nats_are_told_by_their_names() {
    let world = World::new();
    let either = "endpoint-independent or address-dependent";
    for (name, site, mapping, filtering, status) in [
        ("cone", Site::full_cone(), INDEPENDENT, either, "ok"),
        ("address", Site::address_restricted(), INDEPENDENT, either, "ok"),
        ("port", Site::port_restricted(), INDEPENDENT, DEPENDENT, "ok"),
        ("symmetric", Site::symmetric(), DEPENDENT, DEPENDENT, "warning"),
        ("cgnat", Site::cgnat(), INDEPENDENT, DEPENDENT, "ok"),
    ] {
        let checks = examined(&app(&world, site, name));
        let expected = format!("mapping {status} {mapping}, filtering {status} {filtering}");
        assert_eq!(said(&checks, &["mapping", "filtering"]), expected, "{name}: {checks:#?}");
        let well = said(&checks, &["manager", "udp", "tls-fallback", "captive-portal", "clock", "ipv4"]);
        assert!(!well.contains("failed") && !well.contains("warning"), "{name}: {well}");
    }
}

#[test]
fn without_a_nat_there_is_none_and_packets_have_their_full_size() {
    let world = World::new();
    let app = world.app(&Arc::new(world.internet.public_host("open")));
    app.create(HOME, &world.address);
    let checks = examined(&app);
    let expected = "mapping ok none, filtering ok none, hairpinning ok not needed, udp ok yes";
    assert_eq!(said(&checks, &["mapping", "filtering", "hairpinning", "udp"]), expected, "{checks:#?}");
    let mtu: u16 = checks["mtu"].found.as_ref().unwrap().parse().unwrap();
    assert!(mtu > 1400, "{mtu}");
    assert_eq!(said(&checks, &["ipv4", "ipv6", "clock"]), "ipv4 ok yes, ipv6 ok yes, clock ok 0 s");
}

#[test]
fn a_hairpin_is_seen() {
    let world = World::new();
    let with = examined(&app(&world, Site::port_restricted().hairpin(), "with"));
    assert_eq!(said(&with, &["hairpinning"]), "hairpinning ok yes", "{with:#?}");
    let without = examined(&app(&world, Site::port_restricted(), "without"));
    assert_eq!(said(&without, &["hairpinning"]), "hairpinning ok no");
}

#[test]
fn blocked_udp_is_the_failure_and_everything_else_is_told_by_tls() {
    let world = World::new();
    let checks = examined(&app(&world, Site::udp_blocked(), "blocked"));
    let expected = "manager ok, udp failed no, tls-fallback ok yes, captive-portal ok no, clock ok 0 s";
    let told = said(&checks, &["manager", "udp", "tls-fallback", "captive-portal", "clock"]);
    let rtt = format!(" {}", checks["manager"].found.as_ref().unwrap());
    assert_eq!(told.replacen(&rtt, "", 1), expected, "{checks:#?}");
    assert!(checks["udp"].hint.is_some());
}

#[test]
fn by_ipv6_alone_nothing_is_missed() {
    let world = World::new();
    let checks = examined(&app(&world, Site::ipv6_only(), "six"));
    assert_eq!(said(&checks, &["ipv4", "ipv6", "mapping"]), "ipv4 ok none, ipv6 ok yes, mapping ok none");
}

#[test]
fn small_packets_are_told() {
    let world = World::new();
    let checks = examined(&app(&world, Site::port_restricted().mtu(1240), "small"));
    assert_eq!(said(&checks, &["mtu"]), "mtu warning 1200", "{checks:#?}");
}

#[test]
fn a_manager_that_is_away_is_told_in_a_few_seconds() {
    let mut world = World::new();
    let app = app(&world, Site::port_restricted(), "lonely");
    world.kill_manager();
    app.ok(&["status"]);
    let checks = examined(&app);
    let expected = "manager failed offline, udp unknown -, captive-portal unknown -, clock unknown -";
    assert_eq!(said(&checks, &["manager", "udp", "captive-portal", "clock"]), expected, "{checks:#?}");
}
