//! `doctor`: what stands between this node and the others, and what can be done about it.

use coconet::control::{Check, CheckStatus, Doctor, Examined};
use coconet::name::Name;

use super::{Context, network_query};
use crate::fail::Fail;
use crate::print::clean;
use crate::units;

pub(super) async fn run(context: &Context, network: Option<&Name>) -> Result<(), Fail> {
    let path = format!("/v1/doctor{}", network_query(network));
    let asking = context.client.get_slowly::<Doctor>(&path);
    let answer = context.during("examining what stands between this node and the others", asking).await?;
    context.out.answer(&answer, |doctor| doctor.networks.iter().flat_map(lines).collect::<Vec<_>>())?;
    let checks = answer.value.networks.iter().flat_map(|examined| &examined.checks);
    match checks.filter(|check| check.status == CheckStatus::Failed).count() {
        0 => Ok(()),
        failed => Err(Fail::failed(format!("{} failed", units::count(failed as u64, "check")))
            .hint(format!("do what the hints of these say, then again: {} doctor", context.me()))),
    }
}

/// A network: a line for each check, and one for what can be done.
fn lines(examined: &Examined) -> Vec<String> {
    let called: Vec<String> = examined.checks.iter().map(called).collect();
    let width = called.iter().map(|called| called.chars().count()).max().unwrap_or(0);
    let mut lines = vec![format!("{}:", examined.network)];
    for (check, called) in examined.checks.iter().zip(&called) {
        let status = check.status.as_str();
        let found = check.found.as_ref().map_or_else(String::new, |found| format!("{found}: "));
        lines.push(format!("  {status:<7}  {called:<width$}  {found}{}", check.reason));
        let hint = check.hint.iter().map(|hint| format!("  {:<7}  {:<width$}  hint: {hint}", "", ""));
        lines.extend(hint);
    }
    lines
}

/// What was looked at, and with whom.
fn called(check: &Check) -> String {
    let peer = check.peer.as_ref().map_or_else(String::new, |peer| format!(" {peer}"));
    clean(&format!("{}{peer}", check.check))
}
