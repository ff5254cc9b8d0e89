//! Addresses and routes come and go.

use std::net::IpAddr;
use std::process::Command;

use coco_lab::{DEVICE, Lab, Site};
use cocod::surroundings::changes::Watcher;

use crate::on;

/// Run `ip` where this thread is.
pub(crate) fn ip(words: &str) {
    let status = Command::new("ip").args(words.split(' ')).status();
    assert!(status.expect("ip, of the Debian package iproute2").success(), "ip {words}");
}

#[test]
fn an_address_that_comes_and_one_that_goes_are_told() {
    let lab = Lab::new();
    let host = lab.public_host("roamer");
    on(&host, async || {
        let watcher = Watcher::start();
        let mut links = watcher.links();
        let has = |address: &str| {
            let address: IpAddr = address.parse().unwrap();
            move |links: &std::sync::Arc<cocod::surroundings::links::Links>| {
                links.addresses().any(|found| found == address)
            }
        };
        ip(&format!("address add 192.0.2.77/24 dev {DEVICE}"));
        links.wait_for(has("192.0.2.77")).await.unwrap();
        ip(&format!("address add 2001:db8:77::1/64 dev {DEVICE}"));
        links.wait_for(has("2001:db8:77::1")).await.unwrap();
        ip(&format!("address del 192.0.2.77/24 dev {DEVICE}"));
        links.wait_for(|links| !has("192.0.2.77")(links)).await.unwrap();
        // Down, it has neighbours no more.
        assert_eq!(links.borrow_and_update().lans().count(), 1);
        ip(&format!("link set {DEVICE} down"));
        links.wait_for(|links| links.lans().count() == 0).await.unwrap();
    });
}

#[test]
fn another_router_is_told_and_it_is_the_gateway() {
    let lab = Lab::new();
    let home = lab.site(Site::port_restricted());
    let host = home.host("roamer");
    on(&host, async || {
        let watcher = Watcher::start();
        let mut links = watcher.links();
        let first = links.borrow_and_update().gateway.expect("a site has a router");
        let second = std::net::Ipv4Addr::from_bits(first.to_bits() ^ 0x40);
        ip(&format!("route replace default via {second} dev {DEVICE}"));
        links.wait_for(|links| links.gateway == Some(second)).await.unwrap();
        ip("route del default");
        links.wait_for(|links| links.gateway.is_none()).await.unwrap();
    });
}
