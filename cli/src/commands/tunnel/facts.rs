//! What the protocols say of what goes through tunnels, as lines below the table.

use coconet::control::facts::{HttpFacts, MqttFacts, RtspFacts, UdpFacts};
use coconet::control::{Facts, Tunnel};

/// The lines of one tunnel; none where there is nothing to tell.
pub(super) fn lines(tunnel: &Tunnel) -> Vec<String> {
    let said = match &tunnel.facts {
        None => Vec::new(),
        Some(Facts::Udp(facts)) => udp(facts),
        Some(Facts::Http(facts)) => http(facts),
        Some(Facts::Rtsp(facts)) => rtsp(facts),
        Some(Facts::Mqtt(facts)) => mqtt(facts),
    };
    said.into_iter().map(|line| format!("{} {}: {line}", tunnel.id, tunnel.resource)).collect()
}

fn udp(facts: &UdpFacts) -> Vec<String> {
    let UdpFacts { flows, datagrams_in, datagrams_out, dropped, lost } = facts;
    if datagrams_in + datagrams_out == 0 {
        return Vec::new();
    }
    vec![format!(
        "{flows} flows, {datagrams_in} datagrams in, {datagrams_out} out, {dropped} dropped, {lost} lost"
    )]
}

fn http(_facts: &HttpFacts) -> Vec<String> {
    Vec::new()
}

fn rtsp(_facts: &RtspFacts) -> Vec<String> {
    Vec::new()
}

fn mqtt(_facts: &MqttFacts) -> Vec<String> {
    Vec::new()
}
