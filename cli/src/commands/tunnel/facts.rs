//! What the protocols say of what goes through tunnels, as lines below the table.

use coconet::control::facts::{
    HttpFacts, IpFacts, MqttDenied, MqttFacts, RtspFacts, RtspSession, RtspTrack, UdpFacts,
};
use coconet::control::{Facts, Tunnel};

use crate::print::clean;

/// The lines of one tunnel; none where there is nothing to tell.
pub(super) fn lines(tunnel: &Tunnel) -> Vec<String> {
    of(tunnel).into_iter().map(|line| format!("{} {}: {line}", tunnel.id, tunnel.resource)).collect()
}

/// The same without saying of which tunnel.
pub(crate) fn of(tunnel: &Tunnel) -> Vec<String> {
    match &tunnel.facts {
        None => Vec::new(),
        Some(Facts::Udp(facts)) => udp(facts),
        Some(Facts::Http(facts)) => http(facts),
        Some(Facts::Rtsp(facts)) => rtsp(facts),
        Some(Facts::Mqtt(facts)) => mqtt(facts),
        Some(Facts::Ip(facts)) => ip(facts),
    }
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

/// What went by a node's own address.
pub(in crate::commands) fn ip(facts: &IpFacts) -> Vec<String> {
    let IpFacts { address, interface, nodes, packets_in, packets_out, dropped, .. } = facts;
    let place = interface.as_ref().map_or_else(|| "no interface".to_owned(), |name| clean(name));
    let mut lines = vec![format!(
        "{address} on {place}, {} nodes, {packets_in} packets in, {packets_out} out",
        nodes.len()
    )];
    // What every host says to nobody is no news.
    let told: Vec<String> = dropped
        .iter()
        .filter(|(why, _)| *why != "quiet")
        .map(|(why, count)| format!("{count} {}", clean(why)))
        .collect();
    if !told.is_empty() {
        lines.push(format!("dropped: {}", told.join(", ")));
    }
    lines
}

fn http(facts: &HttpFacts) -> Vec<String> {
    let HttpFacts { requests, requests_per_second, refused, upgrades } = facts;
    if *requests == 0 && refused.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![format!("{requests} requests, {requests_per_second:.1}/s, {upgrades} upgraded now")];
    if !refused.is_empty() {
        let reasons: Vec<String> =
            refused.iter().map(|(reason, count)| format!("{count} {}", clean(reason))).collect();
        lines.push(format!("refused: {}", reasons.join(", ")));
    }
    lines
}

/// One line for each session, and one for each of its tracks. What the camera says of itself is cleaned.
fn rtsp(facts: &RtspFacts) -> Vec<String> {
    let mut lines = Vec::new();
    for session in &facts.sessions {
        let RtspSession { path, viewers_udp, viewers_tcp, tracks } = session;
        lines.push(format!("{}, viewers: {viewers_udp} over udp, {viewers_tcp} over tcp", clean(path)));
        for track in tracks {
            let RtspTrack { media, codec, size, rate, transport, packets, lost } = track;
            let about = [
                codec.as_ref().map(|codec| format!(" {}", clean(codec))),
                size.map(|(width, height)| format!(" {width}x{height}")),
                rate.map(|rate| format!(" {rate:.1}/s")),
            ];
            let (media, about) = (clean(media), about.into_iter().flatten().collect::<String>());
            let from = transport.as_str();
            lines.push(format!("{media}{about} from the camera over {from}, {packets} packets, {lost} lost"));
        }
    }
    if facts.refused > 0 {
        lines.push(format!("refused: {}", plural(facts.refused, "request")));
    }
    lines
}

/// The filters come from clients: what is printed of them is cleaned where the whole table is.
fn mqtt(facts: &MqttFacts) -> Vec<String> {
    let MqttFacts {
        clients,
        subscriptions,
        more_subscriptions,
        messages_in,
        messages_out,
        denied,
        malformed,
    } = facts;
    let MqttDenied { connect, publish, subscribe, deliver } = denied;
    let refused: Vec<String> = [
        (connect, "connections"),
        (publish, "messages in"),
        (deliver, "messages out"),
        (subscribe, "subscriptions"),
    ]
    .iter()
    .filter(|(count, _)| **count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    let mut lines = Vec::new();
    if clients + messages_in + messages_out > 0 {
        lines.push(format!("{clients} clients, {messages_in} messages in, {messages_out} out"));
    }
    if !refused.is_empty() {
        lines.push(format!("denied: {}", refused.join(", ")));
    }
    if *malformed > 0 {
        lines.push(format!("{malformed} connections ended for malformed packets"));
    }
    lines.extend(
        subscriptions
            .iter()
            .map(|one| format!("{} subscribed by {}", one.filter, plural(one.clients, "client"))),
    );
    if *more_subscriptions > 0 {
        lines.push(format!("and {more_subscriptions} more subscriptions"));
    }
    lines
}

fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use coconet::control::facts::RtspTransport;

    use super::*;

    #[test]
    fn a_camera_is_told_by_its_session_and_its_tracks() {
        let video = RtspTrack {
            media: "video".to_owned(),
            codec: Some("H264".to_owned()),
            size: Some((1920, 1080)),
            rate: Some(25.0),
            transport: RtspTransport::Tcp,
            packets: 9000,
            lost: 3,
        };
        let audio = RtspTrack { media: "audio".to_owned(), ..RtspTrack::default() };
        let (path, tracks) = ("/live".to_owned(), vec![video, audio]);
        let sessions = vec![RtspSession { path, viewers_udp: 2, viewers_tcp: 1, tracks }];
        assert_eq!(
            rtsp(&RtspFacts { sessions, refused: 1 }),
            [
                "/live, viewers: 2 over udp, 1 over tcp",
                "video H264 1920x1080 25.0/s from the camera over tcp, 9000 packets, 3 lost",
                "audio from the camera over udp, 0 packets, 0 lost",
                "refused: 1 request",
            ]
        );
        assert!(rtsp(&RtspFacts::default()).is_empty());
    }
}
