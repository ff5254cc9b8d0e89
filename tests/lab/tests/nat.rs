//! Each kind of NAT is what it is called, measured from outside in the words of RFC 4787.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![expect(clippy::print_stdout, reason = "each test says what it found")]

use coco_lab::probe::{Found, Prober};
use coco_lab::{Behaviour, Lab, Site};

use Behaviour::{AddressAndPortDependent, AddressDependent, EndpointIndependent};

fn prober(lab: &Lab) -> Prober {
    Prober::new(&lab.public_host("one"), &lab.public_host("two"))
}

fn measured(name: &str, site: Site) -> Found {
    let start = std::time::Instant::now();
    let lab = Lab::new();
    let prober = prober(&lab);
    let site = lab.site(site);
    let host = site.host("host");
    println!("up after {:?}", start.elapsed());
    let found = prober.measure(&host).unwrap();
    println!("{name}: {} mapping, {} filtering", found.mapping, found.filtering);
    if site.site().is_translated() {
        assert_eq!(found.external.ip(), site.v4());
    } else {
        assert_eq!(found.external.ip(), host.v4());
    }
    found
}

#[test]
fn an_open_site_maps_nothing_and_filters_nothing() {
    let found = measured("open", Site::open());
    assert_eq!((found.mapping, found.filtering), (EndpointIndependent, EndpointIndependent));
}

#[test]
fn a_full_cone_nat_maps_and_filters_endpoint_independently() {
    let found = measured("full cone", Site::full_cone());
    assert_eq!((found.mapping, found.filtering), (EndpointIndependent, EndpointIndependent));
}

#[test]
fn an_address_restricted_nat_filters_by_address() {
    let found = measured("address-restricted", Site::address_restricted());
    assert_eq!((found.mapping, found.filtering), (EndpointIndependent, AddressDependent));
}

#[test]
fn a_port_restricted_nat_filters_by_address_and_port() {
    let found = measured("port-restricted", Site::port_restricted());
    assert_eq!((found.mapping, found.filtering), (EndpointIndependent, AddressAndPortDependent));
}

#[test]
fn a_symmetric_nat_maps_and_filters_by_address_and_port() {
    let found = measured("symmetric", Site::symmetric());
    assert_eq!((found.mapping, found.filtering), (AddressAndPortDependent, AddressAndPortDependent));
}

#[test]
fn two_nats_in_a_row_are_as_strict_as_the_stricter() {
    let found = measured("cgnat", Site::cgnat());
    assert_eq!((found.mapping, found.filtering), (EndpointIndependent, AddressAndPortDependent));
}
