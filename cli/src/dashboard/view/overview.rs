//! The overview: what the daemon is, its networks, what flows, and what happened last.

use coconet::control::{Examined, Network, PeerLink, TunnelState};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use super::Palette;
use crate::commands::status::{field, network_lines, short_id};
use crate::dashboard::rows::{Tone, is_direct};
use crate::dashboard::state::{Facts, State};
use crate::print::clean;
use crate::units;

pub(super) fn draw(state: &State, palette: Palette, frame: &mut Frame<'_>, area: Rect) {
    let facts = state.shown();
    let mut lines = lines(facts, palette);
    let room = usize::from(area.height).saturating_sub(lines.len() + 2);
    if room > 0 && !facts.events.is_empty() {
        lines.push(Line::default());
        lines.push(Line::styled("lately", palette.heading()));
        for event in facts.events.iter().rev().take(room) {
            let text = format!("{}  {}  {}", units::clock(event.time_ms), event.kind, event.message);
            lines.push(Line::from(clean(&text)));
        }
    }
    frame.render_widget(Paragraph::new(lines), area);
}

fn lines(facts: &Facts, palette: Palette) -> Vec<Line<'static>> {
    let Some(status) = &facts.status else { return Vec::new() };
    let up = units::span(units::since(status.started_ms, facts.now_ms));
    let about = format!("{}, cocod {}, pid {}, up {up}", status.app, status.program, status.pid);
    let mut lines = vec![Line::from(clean(&field("app", &about)))];
    let refused: Vec<String> = status
        .counters
        .iter()
        .filter(|(_, count)| **count > 0)
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    if !refused.is_empty() {
        lines.push(Line::styled(clean(&field("refused", &refused.join(", "))), palette.tone(Tone::Warn)));
    }
    if status.networks.is_empty() {
        lines.push(Line::default());
        lines.push(Line::from("no network joined: cococtl network create NAME --manager MGRADDR"));
        lines.push(Line::from("                   cococtl network join INVITE"));
    }
    for network in &status.networks {
        lines.push(Line::default());
        lines.extend(self::network(network, facts, palette));
    }
    lines
}

/// What kind of NAT the doctor has found, in its words.
fn nat(examined: &Examined) -> String {
    let part = |name: &str| {
        let check = examined.checks.iter().find(|check| check.check == name)?;
        Some(format!("{name} {}", check.found.as_deref().unwrap_or("not known")))
    };
    let parts: Vec<String> = ["mapping", "filtering"].into_iter().filter_map(part).collect();
    parts.join(", ")
}

fn network(network: &Network, facts: &Facts, palette: Palette) -> Vec<Line<'static>> {
    let told = network_lines(network, &short_id(&network.id), facts.now_ms);
    let mut lines: Vec<Line<'static>> = told
        .iter()
        .map(|line| {
            let bad = line.starts_with("!!!") || line.starts_with("WARNING");
            let style = palette.tone(if bad { Tone::Bad } else { Tone::Plain });
            Line::styled(clean(line), style)
        })
        .collect();
    let nat = facts.examined.get(&network.name).map(nat);
    lines.extend(nat.map(|nat| Line::from(clean(&field("nat", &nat)))));
    let count = |state| network.peers.iter().filter(|peer| peer.state == state).count();
    let direct = network.peers.iter().filter(|peer| is_direct(peer)).count();
    let connected = count(PeerLink::Connected);
    let (into, out) = network.peers.iter().fold((0_u64, 0_u64), |(into, out), peer| {
        (into.saturating_add(peer.rate_in), out.saturating_add(peer.rate_out))
    });
    let mut peers = format!("{direct} direct, {} relayed", connected - direct.min(connected));
    for (state, word) in
        [(PeerLink::Silent, "silent"), (PeerLink::Connecting, "connecting"), (PeerLink::Offline, "offline")]
    {
        if count(state) > 0 {
            peers = format!("{peers}, {} {word}", count(state));
        }
    }
    let peers = format!("{peers}; {}/s in, {}/s out", units::bytes(into), units::bytes(out));
    lines.push(Line::from(field("peers", &peers)));
    let tunnels = facts.status.iter().flat_map(|status| &status.tunnels);
    let mine: Vec<_> = tunnels.filter(|tunnel| tunnel.network == network.name).collect();
    let works = |state| matches!(state, TunnelState::Open | TunnelState::Reopened);
    let open = mine.iter().filter(|tunnel| works(tunnel.state)).count();
    let clients: u64 = mine.iter().map(|tunnel| tunnel.clients).sum();
    let text = format!("{open} of {} open, {}", mine.len(), units::count(clients, "client"));
    lines.push(Line::from(field("tunnels", &text)));
    for tunnel in mine.iter().filter(|tunnel| !works(tunnel.state)) {
        let reason = tunnel.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        let text = format!("{} is {}{reason}", tunnel.resource, tunnel.state.as_str());
        lines.push(Line::styled(clean(&field("", &text)), palette.tone(Tone::Warn)));
    }
    lines
}
