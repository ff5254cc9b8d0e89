//! What the daemon says, as messages, and what is asked of it.

use std::collections::BTreeMap;
use std::time::Duration;

use coconet::control::{
    Change, Doctor, Done, Grants, ManagerLink, Members, Network, Networks, Ping, Pong, Status, Usage,
};
use coconet::name::Name;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::state::{Action, Tab};
use super::update::{Effect, Message};
use crate::client::{Client, GRACE, SLOW, segment};
use crate::commands::{network_path, network_query};
use crate::fail::Fail;
use crate::units;

/// Between two looks at the daemon.
const REFRESH: Duration = Duration::from_secs(1);

/// Between two looks at what the manager has to be asked for, while it is shown.
const REFRESH_FAR: Duration = Duration::from_secs(10);

/// How long a ping may take.
const PING: Duration = Duration::from_secs(5);

/// Ask, listen and do as asked until the dashboard goes.
pub(super) async fn run(
    client: &Client,
    messages: mpsc::Sender<Message>,
    wanted: mpsc::Receiver<Effect>,
    looking: watch::Receiver<Tab>,
) {
    let sessions = watch::Sender::default();
    tokio::join!(
        status(client, &messages, &sessions),
        examine(client, &messages, sessions.subscribe()),
        events(client, &messages),
        far(client, &messages, looking),
        obey(client, &messages, wanted),
    );
}

/// The networks whose manager is in touch, and since when.
type Sessions = BTreeMap<Name, u64>;

async fn status(client: &Client, messages: &mpsc::Sender<Message>, sessions: &watch::Sender<Sessions>) {
    let mut ticks = interval(REFRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let message = match client.get::<Status>("/v1/status").await {
            Ok(answer) => {
                let now: Sessions = answer.value.networks.iter().filter_map(session).collect();
                sessions.send_if_modified(|known| std::mem::replace(known, now.clone()) != now);
                Message::Status(Box::new(answer.value), units::now_ms())
            }
            Err(fail) => Message::Lost(fail.summary()),
        };
        if messages.send(message).await.is_err() {
            return;
        }
    }
}

fn session(network: &Network) -> Option<(Name, u64)> {
    let manager = &network.manager;
    (manager.state == ManagerLink::Online).then(|| (network.name.clone(), manager.since_ms))
}

/// What kind of NAT there is. That takes packets, so it is asked once for each session with a manager: in another
/// place the session is another.
async fn examine(client: &Client, messages: &mpsc::Sender<Message>, mut sessions: watch::Receiver<Sessions>) {
    let mut examined = Sessions::new();
    // An error means that the dashboard is gone, which ends all of this anyhow.
    while sessions.changed().await.is_ok() {
        let now = sessions.borrow_and_update().clone();
        for (network, since) in now {
            if examined.insert(network.clone(), since) == Some(since) {
                continue;
            }
            let path = format!("/v1/doctor{}", network_query(Some(&network)));
            // A daemon that cannot say is not asked again: there are more important things on the screen.
            let Ok(answer) = client.get_slowly::<Doctor>(&path).await else { continue };
            for found in answer.value.networks {
                if messages.send(Message::Examined(found)).await.is_err() {
                    return;
                }
            }
        }
    }
}

async fn events(client: &Client, messages: &mpsc::Sender<Message>) {
    let mut known = false;
    loop {
        // What happened before is told once: after a gap, the daemon is another one or was not heard.
        if let Ok(mut stream) = client.events(!known).await {
            known = true;
            while let Ok(Some(event)) = stream.next().await {
                if messages.send(Message::Event(event)).await.is_err() {
                    return;
                }
            }
        }
        sleep(REFRESH).await;
    }
}

/// Members and the relay's use: the manager knows who is there and what was relayed.
async fn far(client: &Client, messages: &mpsc::Sender<Message>, mut looking: watch::Receiver<Tab>) {
    loop {
        let tab = *looking.borrow_and_update();
        if let Ok(networks) = client.get::<Networks>("/v1/networks").await {
            for network in networks.value.networks {
                let place = |part| network_path(&network.name, part);
                let mut news = Vec::new();
                match tab {
                    Tab::Members => {
                        news.extend(get::<Members>(client, &place("members")).await.map(Message::Members));
                        let grants = get::<Grants>(client, &place("grants")).await;
                        news.extend(grants.map(|grants| Message::Grants(network.name.clone(), grants)));
                    }
                    Tab::Relay => {
                        news.extend(get::<Usage>(client, &place("usage")).await.map(Message::Usage));
                    }
                    Tab::Overview | Tab::Peers | Tab::Tunnels | Tab::Events => {}
                }
                for message in news {
                    if messages.send(message).await.is_err() {
                        return;
                    }
                }
            }
        }
        // An error means that the dashboard is gone, which ends all of this anyhow.
        let _ = timeout(REFRESH_FAR, looking.changed()).await;
    }
}

async fn get<T: DeserializeOwned>(client: &Client, path: &str) -> Option<T> {
    client.get::<T>(path).await.ok().map(|answer| answer.value)
}

async fn obey(client: &Client, messages: &mpsc::Sender<Message>, mut wanted: mpsc::Receiver<Effect>) {
    while let Some(effect) = wanted.recv().await {
        let told = match effect {
            Effect::Ping { network, node } => {
                ping(client, Ping { node, network: Some(network), timeout_s: Some(PING.as_secs()) }).await
            }
            Effect::Do(action) => act(client, action).await,
            Effect::Quit | Effect::Copy(_) | Effect::Look(_) => continue,
        };
        let told = told.unwrap_or_else(|fail| format!("error: {}", fail.summary()));
        if messages.send(Message::Told(told)).await.is_err() {
            return;
        }
    }
}

async fn ping(client: &Client, ping: Ping) -> Result<String, Fail> {
    let pong = client.post::<Pong>("/v1/ping", &ping, PING + GRACE).await?.value;
    Ok(format!("{} answered in {} by {}", pong.node, units::round_trip(pong.rtt_us), pong.path))
}

async fn act(client: &Client, action: Action) -> Result<String, Fail> {
    let done = match action {
        Action::Close { network, id, .. } => {
            let path = format!("/v1/tunnels/{}?network={}", segment(&id), segment(network.as_str()));
            client.delete::<Done>(&path).await?
        }
        Action::Remove { network, node, .. } => {
            client.delete::<Done>(&network_path(&network, &format!("nodes/{}", segment(&node)))).await?
        }
        Action::Revoke { network, user, resource } => {
            let change = Change::RevokeGrant { user, resource };
            client.post::<Done>(&network_path(&network, "changes"), &change, SLOW).await?
        }
    };
    Ok(done.value.message)
}
