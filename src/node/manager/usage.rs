//! What the relay has carried, and the manager's warnings about it.

use coconet::calendar::{Day, Month};
use coconet::control::{QuotaWarning, Usage, UsageDay, UsageNode, VERSION};
use coconet::wire::manager::{DayUsage, NodeUsage, Request, Response};

use super::super::node_name;
use super::{ManagerLink, answer, open, unexpected};
use crate::clock;
use crate::fault::{Fault, Result, SAME_RELEASE};

/// Most pages of one answer: more nodes than a ledger takes.
const PAGES_MAX: usize = 128;

/// The last warning and the month it was of.
pub(super) type Warned = Option<(Month, QuotaWarning)>;

impl ManagerLink {
    /// What the relay has carried in `month`; in the current one without.
    pub async fn usage(&self, month: Option<Month>) -> Result<Usage> {
        let session = self.ready().await?;
        let request = Request::Usage { network: self.network, month: month.map(Month::number) };
        let mut channel = open(&session, &request).await?;
        let mut told: Option<Usage> = None;
        for _ in 0..PAGES_MAX {
            let (month, plan, limit, used, whole, days, nodes, more) = match answer(&mut channel).await? {
                Response::Usage { month, plan, limit, used, whole, days, nodes, more } => {
                    (month, plan, limit, used, whole, days, nodes, more)
                }
                other => return Err(unexpected(other)),
            };
            let usage = told.get_or_insert(Usage {
                version: VERSION,
                network: self.name.clone(),
                month: known_month(month)?.to_string(),
                plan: plan.map(|plan| coconet::name::shown(&plan)),
                limit,
                used,
                whole,
                days: days.iter().map(|day| line_of_day(month, *day)).collect::<Result<_>>()?,
                nodes: Vec::new(),
            });
            usage.nodes.extend(nodes.into_iter().map(|node| self.line_of_node(node)));
            if !more {
                let relayed = |node: &UsageNode| node.sent.saturating_add(node.received);
                usage.nodes.sort_by_key(|node| std::cmp::Reverse(relayed(node)));
                return told.ok_or_else(nonsense);
            }
        }
        Err(nonsense())
    }

    /// The manager warns that the relay's use has come near its limit.
    pub(super) fn warned(&self, used: u64, limit: u64) {
        let warning = QuotaWarning { used, limit };
        let month = Month::at(clock::now_ms());
        let mut before = None;
        self.state.send_modify(|state| before = state.quota.replace((month, warning)));
        let told =
            |(of, before): (Month, QuotaWarning)| of == month && before.is_spent() == warning.is_spent();
        if !before.is_some_and(told) {
            let percent = coconet::control::percent(used, limit);
            let message = if warning.is_spent() {
                "the relay has carried what it may this month: only direct paths go on".to_owned()
            } else {
                format!("the relay has carried {percent} % of what it may this month")
            };
            self.events.send(Some(&self.name), "quota", message);
        }
    }

    fn line_of_node(&self, NodeUsage { node, sent, received }: NodeUsage) -> UsageNode {
        let ledger = self.book.ledger();
        let user = ledger.state().nodes().get(&node).map(|known| known.user.clone());
        UsageNode { id: node.full(), name: node_name(&ledger, node), user, sent, received }
    }
}

/// The warning that still holds: a new month begins with a whole quota.
pub(super) fn standing(warned: Warned) -> Option<QuotaWarning> {
    let (month, warning) = warned?;
    (month == Month::at(clock::now_ms())).then_some(warning)
}

fn known_month(number: u32) -> Result<Month> {
    Month::from_number(number).ok_or_else(nonsense)
}

fn line_of_day(month: u32, DayUsage { day, bytes }: DayUsage) -> Result<UsageDay> {
    let month = known_month(month)?;
    Day::from_number(month.number() * 100 + u32::from(day)).ok_or_else(nonsense)?;
    Ok(UsageDay { day: format!("{month}-{day:02}"), bytes })
}

fn nonsense() -> Fault {
    Fault::failed("the manager gave an answer that makes no sense").hint(SAME_RELEASE)
}
