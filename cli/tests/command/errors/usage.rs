//! Command lines that make no sense.

use coconet::id::InviteKey;
use serde_json::json;

use super::page::Page;
use crate::daemon::{Daemon, Ended, cococtl};
use crate::results::{invite, manager};

/// Every command that is no noun, as its words.
pub(super) fn commands() -> Vec<Vec<String>> {
    let (mut commands, mut nouns) = (Vec::new(), vec![Vec::new()]);
    while let Some(noun) = nouns.pop() {
        let words: Vec<&str> = noun.iter().map(String::as_str).chain(["--help"]).collect();
        let help = Ended::of(&mut cococtl(&words)).out;
        let verbs = help.lines().skip_while(|line| *line != "Commands:").skip(1).map_while(|line| {
            let word = line.strip_prefix("  ")?.split(' ').next()?;
            (!word.is_empty()).then(|| word.to_owned())
        });
        let verbs: Vec<String> = verbs.filter(|verb| verb != "help").collect();
        let of_noun = |verb: String| noun.iter().cloned().chain([verb]).collect();
        if verbs.is_empty() { commands.push(noun) } else { nouns.extend(verbs.into_iter().map(of_noun)) }
    }
    commands.sort();
    commands
}

#[test]
fn every_command_refuses_what_it_does_not_know_and_says_what_it_misses() {
    let mut page = Page::new("usage");
    page.shows("a verb is missing", &["cococtl network", "cococtl node", "cococtl tunnel"]);
    page.shows("there is no such verb", &["cococtl shout", "cococtl network shout home", "cococtl --shout"]);
    for command in commands() {
        let line = format!("cococtl {}", command.join(" "));
        page.shows("", &[&format!("{line} --shout")]);
        // Those that need nothing more do something instead.
        let ended = Ended::of(page.shell(&line).env("COCO_SOCKET", "none.sock"));
        if ended.code == 2 && !ended.err.contains("terminal") {
            page.tells("", &line, &ended);
        }
    }
    page.compare();
}

#[test]
fn what_makes_no_sense_is_refused_before_anybody_sees_it() {
    let mut page = Page::new("values");
    let text = invite();
    page.file("invite.txt", &text);
    page.file("damaged.txt", text.replace(&text[80..81], if &text[80..81] == "a" { "b" } else { "a" }));
    let other = InviteKey([5; 32]).full();
    page.with(Daemon::saying(500, &json!({})));
    page.shows(
        "names",
        &["cococtl network show Home", "cococtl network show ../home", "cococtl --app X status"],
    );
    page.shows(
        "options that exclude each other, or need another",
        &[
            "cococtl network invite home --device --self",
            "cococtl network invite home --self --no-publish",
            "cococtl network invite home --no-publish",
            "cococtl network invite home --device --only rtsp",
            "cococtl network invite home --user bob",
            "cococtl network invite home --self --role guest",
            "cococtl network invite home --role guest",
            "cococtl network invite home list --device",
            "cococtl network invite home list --uses 2",
            "cococtl network invite home list --qr",
            "cococtl network invite home revoke",
            &format!("cococtl network invite home list {other}"),
            "cococtl network join - --file invite.txt",
            "cococtl network recover - --file key.txt",
            "cococtl status --interval 2s",
            "cococtl tunnel open web --public",
            "cococtl tunnel open web --listen 127.0.0.1:80 --public --allow uid:0",
            "cococtl tunnel expose tcp://localhost:22",
            "cococtl tunnel expose --discover --name ssh",
            "cococtl tunnel expose --discover --login-file camera.login",
            "cococtl run home --shell -- true",
            "cococtl run home --ip --resource web -- true",
            "cococtl --app x --socket y status",
        ],
    );
    page.shows(
        "values",
        &[
            "cococtl network create home --manager manager.example:4433",
            "cococtl network create home --manager mgr1abc@manager.example:4433",
            &format!("cococtl network create home --manager {}", manager().to_string().replace(":4433", "")),
            "cococtl network managers home manager.example:4433",
            "cococtl network invite home --user bob --role owner",
            "cococtl network invite home --user bob --role king",
            "cococtl network invite home show",
            "cococtl network invite home --self --only Rtsp",
            "cococtl network invite home --self --only rtsp,rtsp",
            "cococtl network invite home --self --uses 0",
            "cococtl network invite home --self --expires 7",
            "cococtl network invite home --self --expires 7y",
            "cococtl network invite home --self --expires d",
            "cococtl network invite home --self --expires 0s",
            "cococtl network invite home --self --expires 11000d",
            "cococtl network role home bob king",
            "cococtl network grant home bob door --can 'play now'",
            "cococtl network grant home bob door --can play --when Tue",
            "cococtl network grant home bob door --can play --when 'Tux 09:00-12:00 UTC'",
            "cococtl network grant home bob door --can play --when 'Tue 9-12 UTC'",
            "cococtl network grant home bob door --can play --when 'Tue 09:00-12:00 Europe/Berlln'",
            "cococtl network grant home bob door --can play --until tomorrow",
            "cococtl network revoke-invite home i:abc",
            "cococtl network prune home --unseen 90",
            "cococtl node remove home n:abc",
            "cococtl tunnel open web --listen 5554",
            "cococtl tunnel open web --listen unix:web.sock",
            "cococtl tunnel open web --listen unix:/$(printf %0120d 0)",
            "cococtl tunnel open web --path fast",
            "cococtl tunnel open web --timeout 0s",
            "cococtl tunnel close a/b",
            "cococtl tunnel expose cam --name x",
            "cococtl tunnel expose tcp://cam --name x",
            "cococtl tunnel expose tcp:///x --name x",
            "cococtl tunnel expose tcp://cam:1/x --name x",
            "cococtl tunnel expose https://cam/ --name x",
            "cococtl tunnel expose 'tcp://a b:1' --name x",
            "cococtl tunnel expose tcp://cam:1 --name -x",
            "cococtl tunnel expose tcp://cam:1 --name x --can 'a b'",
            "cococtl tunnel expose tcp://cam:1 --name x --share",
            "cococtl tunnel expose http://cam/ --name x --host-header 'a b'",
            "cococtl tunnel expose tcp://cam:1 --name x --max-clients 0",
            "cococtl ping camera -c 0",
            "cococtl usage home --month 2026-13",
            "cococtl completions tcsh",
        ],
    );
    page.shows(
        "secrets, which are not repeated",
        &[
            "cococtl network join hello",
            "cococtl network join coco2abc",
            "cococtl network join coco1abc",
            "cococtl network join - < /dev/null",
            "cococtl network join --file damaged.txt",
            "cococtl network \"$(cat invite.txt)\"",
            "cococtl network join $(fold -w 100 invite.txt)",
            "cococtl network recover cocorec1abc",
            "cococtl tunnel expose ftp://admin:hunter2@cam/ --name x",
            "cococtl tunnel open rtsp://admin:hunter2@cam/",
        ],
    );
    assert_eq!(page.asked(), [], "the daemon was asked");
    let said = page.said();
    assert!(
        !said.contains("hunter2") && !said.contains(&text[10..40]) && !said.contains(&text[100..130]),
        "{said}"
    );
    page.compare();
}
