//! `events`: what has happened, and what happens next.

use coconet::control::{ErrorKind, Event, RecentEvents};

use super::Context;
use crate::args::Events;
use crate::fail::Fail;
use crate::units;

pub(super) async fn run(context: &Context, events: &Events) -> Result<(), Fail> {
    if !events.follow {
        let recent = context.client.get::<RecentEvents>("/v1/events/recent").await?.value;
        return recent
            .events
            .into_iter()
            .filter(|event| is_meant(events, event))
            .try_for_each(|event| print(context, event));
    }
    let mut stream = context.client.events(true).await?;
    while let Some(event) = stream.next().await? {
        if is_meant(events, &event) {
            print(context, event)?;
        }
    }
    Err(Fail::new(ErrorKind::Unreachable, "the daemon went away").hint(format!(
        "{} wait --online && {} events --follow",
        context.me(),
        context.me()
    )))
}

fn is_meant(events: &Events, event: &Event) -> bool {
    let network = events.network.as_ref();
    network.is_none_or(|name| event.network.as_deref() == Some(name.as_str()))
        && (events.kind.is_empty() || events.kind.contains(&event.kind))
}

fn print(context: &Context, event: Event) -> Result<(), Fail> {
    context.out.own(event, |Event { time_ms, network, kind, message, .. }| {
        let time = units::date_and_time(*time_ms);
        [format!("{time}  {kind}  {}  {message}", network.as_deref().unwrap_or("-"))]
    })
}
