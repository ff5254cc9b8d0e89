//! Invites that let nobody in.

use std::time::{SystemTime, UNIX_EPOCH};

use coconet::control::Invited;

use crate::refusal::{networks, refuses};
use crate::support::net::{HOME, Net};
use crate::support::wait::{PATIENCE, is, until};

#[test]
fn a_malformed_invite_is_none() {
    let net = Net::new();
    let (camera, viewer) = net.pair();
    let good = camera.invite(HOME, &["--self"]);
    let mut mistyped = good.clone().into_bytes();
    mistyped[20] = if mistyped[20] == b'a' { b'b' } else { b'a' };
    let mistyped = String::from_utf8(mistyped).unwrap();
    let doubled = format!("{good}{good}");
    for text in ["", "hello", "coco1", "coco1abc", "coco2abc", &good[..good.len() - 1], &mistyped, &doubled] {
        let told = refuses(&viewer, 2, &["network", "join", text]);
        assert!(text.len() < 10 || !told.contains(text), "a secret was printed:\n{told}");
    }
    refuses(&viewer, 2, &["network", "join"]);
    let nowhere = net.lab.path("nowhere").display().to_string();
    refuses(&viewer, 1, &["network", "join", "--file", &nowhere]);
    // The invite itself was good all the while.
    net.app("tablet").join(&good);
}

#[test]
fn an_expired_invite_says_so() {
    let net = Net::new();
    let (camera, tablet) = (net.app("camera"), net.app("tablet"));
    camera.create(HOME, &net.address);
    let invited: Invited = camera.json(&["network", "invite", HOME, "--self", "--expires", "1s"]);
    until("it has expired", PATIENCE, || {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        is(now > u128::from(invited.expires_ms), now)
    });
    let told = refuses(&tablet, 1, &["network", "join", &invited.invite]);
    assert!(told.contains("expired") && told.contains("network invite"), "{told}");
    assert_eq!(camera.network(HOME).nodes, 1);
}

#[test]
fn a_used_invite_says_so_however_many_race_for_it() {
    let net = Net::new();
    let camera = net.app("camera");
    camera.create(HOME, &net.address);
    let invite = camera.invite(HOME, &["--self", "--uses", "2"]);
    let apps: Vec<_> = ["one", "two", "three", "four"].map(|name| net.app(name)).into_iter().collect();
    let sockets: Vec<_> = apps.iter().map(|app| app.socket()).collect();
    let codes: Vec<i32> = std::thread::scope(|scope| {
        let join = |socket| {
            let mut ctl = crate::support::programs::command(crate::support::programs::ours("cococtl"));
            ctl.arg("--socket").arg(socket).args(["network", "join", &invite]);
            crate::support::process::run(&mut ctl, b"", PATIENCE).code
        };
        let racing: Vec<_> = sockets.iter().map(|socket| scope.spawn(move || join(socket))).collect();
        racing.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 2, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 1).count(), 2, "{codes:?}");
    let late = net.app("late");
    let told = refuses(&late, 1, &["network", "join", &invite]);
    assert!(told.contains("used") && told.contains("network invite"), "{told}");
    until("everybody who joined is known", PATIENCE, || {
        let nodes = camera.network(HOME).nodes;
        is(nodes == 3, nodes)
    });
    // Whoever was refused keeps nothing of it.
    assert_eq!(networks(&late), 0);
}
