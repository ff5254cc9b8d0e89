//! `usage`: what the relay has carried, against what it may.

use coconet::calendar::Month;
use coconet::control::{Networks, QuotaWarning, Usage, UsageDay, UsageNode, percent};
use coconet::name::Name;
use coconet::wire::manager::WARN_PERCENT;

use super::{Context, network_path, status};
use crate::fail::Fail;
use crate::table::Table;
use crate::units;

/// Characters of the longest bar.
const BAR: u64 = 40;

pub(super) async fn run(context: &Context, network: Option<Name>, month: Option<Month>) -> Result<(), Fail> {
    if let Some(network) = network {
        return one(context, &network, month).await;
    }
    let networks = context.client.get::<Networks>("/v1/networks").await?.value.networks;
    if networks.is_empty() {
        status::hint_no_network(context);
    }
    for (number, network) in networks.iter().enumerate() {
        if number > 0 && !context.out.json {
            context.out.lines([String::new()])?;
        }
        one(context, &network.name, month).await?;
    }
    Ok(())
}

async fn one(context: &Context, network: &Name, month: Option<Month>) -> Result<(), Fail> {
    let query = month.map_or_else(String::new, |month| format!("?month={month}"));
    let answer = context.client.get::<Usage>(&network_path(network, &format!("usage{query}"))).await?;
    context.out.answer(&answer, screen)?;
    let usage = &answer.value;
    if let (Some(limit), true, None) = (usage.limit, usage.whole, month) {
        let quota = QuotaWarning { used: usage.used, limit };
        if quota.is_spent() || percent(usage.used, limit) >= WARN_PERCENT {
            context.out.note(&format!("warning: {network}: {}", warning(quota)));
        }
    }
    Ok(())
}

/// What a quota that is nearly or wholly used up means.
pub(super) fn warning(quota: QuotaWarning) -> String {
    let QuotaWarning { used, limit } = quota;
    if quota.is_spent() {
        format!("the {} that may be relayed in a month are used up; direct paths go on", units::bytes(limit))
    } else {
        let (share, limit) = (percent(used, limit), units::bytes(limit));
        format!("{share} % of the {limit} that may be relayed in a month are used")
    }
}

fn screen(usage: &Usage) -> Vec<String> {
    let mut lines =
        vec![status::field("network", usage.network.as_str()), status::field("month", &usage.month)];
    lines.push(status::field("relayed", &total(usage)));
    if let Some(plan) = &usage.plan {
        lines.push(status::field("plan", plan));
    }
    if !usage.days.is_empty() {
        lines.push(String::new());
        lines.extend(days(&usage.days));
    }
    if !usage.nodes.is_empty() {
        lines.push(String::new());
        lines.extend(nodes(&usage.nodes));
    }
    lines
}

/// What was relayed, of how much.
pub(crate) fn total(usage: &Usage) -> String {
    let used = units::bytes(usage.used);
    match (usage.limit, usage.whole) {
        (Some(limit), true) => {
            format!("{used} of {}, {} %", units::bytes(limit), percent(usage.used, limit))
        }
        (None, true) => format!("{used}, no limit"),
        (Some(limit), false) => {
            format!("{used} by the nodes below; {} for the whole network", units::bytes(limit))
        }
        (None, false) => format!("{used} by the nodes below; no limit"),
    }
}

fn days(days: &[UsageDay]) -> Vec<String> {
    let most = days.iter().map(|day| day.bytes).max().unwrap_or_default();
    let mut table = Table::new(&["DAY", "BYTES", ""]);
    for day in days {
        table.row([day.day.clone(), units::bytes(day.bytes), bar(day.bytes, most)]);
    }
    table.lines()
}

/// As long as `bytes` are of `most`; something for anything.
fn bar(bytes: u64, most: u64) -> String {
    let length = (u128::from(bytes) * u128::from(BAR)).checked_div(most.into()).unwrap_or_default();
    let length = usize::try_from(length).unwrap_or_default().max(usize::from(bytes > 0));
    "#".repeat(length)
}

fn nodes(nodes: &[UsageNode]) -> Vec<String> {
    let mut table = Table::new(&["NODE", "USER", "SENT", "RECEIVED"]);
    for node in nodes {
        table.row([
            node.name.to_string(),
            node.user.as_ref().map_or_else(|| "(removed)".to_owned(), Name::to_string),
            units::bytes(node.sent),
            units::bytes(node.received),
        ]);
    }
    table.lines()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;
    use serde_json::json;

    fn usage() -> Usage {
        serde_json::from_value(json!({
            "version": 1, "network": "home", "month": "2026-07", "plan": "free", "limit": 100_000_000,
            "used": 82_000_000, "whole": true,
            "days": [{"day": "2026-07-01", "bytes": 60_000_000}, {"day": "2026-07-14", "bytes": 21_999_999},
                     {"day": "2026-07-31", "bytes": 1}],
            "nodes": [{"id": "n:a", "name": "camera", "user": "alice", "sent": 80_000_000, "received": 2_000_000},
                      {"id": "n:b", "name": "n-abc", "user": null, "sent": 2_000_000, "received": 80_000_000}],
        }))
        .unwrap()
    }

    #[test]
    fn a_month_on_one_screen() {
        let expected = "\
network   home
month     2026-07
relayed   82 MB of 100 MB, 82 %
plan      free

DAY         BYTES
2026-07-01  60 MB  ########################################
2026-07-14  21 MB  ##############
2026-07-31  1 B    #

NODE    USER       SENT    RECEIVED
camera  alice      80 MB   2.0 MB
n-abc   (removed)  2.0 MB  80 MB";
        assert_eq!(screen(&usage()).join("\n"), expected);
    }

    #[test]
    fn a_part_is_not_taken_for_the_whole() {
        let part = Usage { whole: false, ..usage() };
        assert_eq!(total(&part), "82 MB by the nodes below; 100 MB for the whole network");
        assert_eq!(total(&Usage { limit: None, ..part }), "82 MB by the nodes below; no limit");
        assert_eq!(total(&Usage { limit: None, ..usage() }), "82 MB, no limit");
        let nothing = Usage { used: 0, days: Vec::new(), nodes: Vec::new(), plan: None, ..usage() };
        assert_eq!(screen(&nothing).len(), 3);
        assert_eq!(total(&nothing), "0 B of 100 MB, 0 %");
    }

    #[test]
    fn a_bar_shows_whatever_there_is() {
        assert_eq!((bar(0, 0), bar(0, 9), bar(1, u64::MAX)), (String::new(), String::new(), "#".to_owned()));
        assert_eq!(bar(u64::MAX, u64::MAX).len(), 40);
    }
}
