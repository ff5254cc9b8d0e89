//! `usage`: what is asked of the daemon, what is printed where, and how a used up quota ends a command.

use serde_json::{Value, json};

use crate::daemon::{Daemon, Ended, failure, http, network, status};

fn usage(used: u64, limit: Option<u64>, whole: bool) -> Value {
    json!({
        "version": 1, "network": "home", "month": "2026-07", "plan": "free", "limit": limit, "used": used,
        "whole": whole, "days": [{"day": "2026-07-02", "bytes": used}],
        "nodes": [{"id": "n:a", "name": "camera", "user": "alice", "sent": used, "received": 0}],
    })
}

#[test]
fn the_month_is_printed_and_a_warning_only_where_one_is_due() {
    for (answer, warning) in [
        (usage(79_999_999, Some(100_000_000), true), ""),
        (
            usage(80_000_000, Some(100_000_000), true),
            "warning: home: 80 % of the 100 MB that may be relayed in a month are used\n",
        ),
        (
            usage(100_000_000, Some(100_000_000), true),
            "warning: home: the 100 MB that may be relayed in a month are used up; direct paths go on\n",
        ),
        (usage(90_000_000, None, true), ""),
        (usage(90_000_000, Some(100_000_000), false), ""),
    ] {
        let daemon = Daemon::saying(200, &answer);
        let Ended { code, out, err } = daemon.run(&["usage", "home"]);
        assert_eq!((code, err.as_str()), (0, warning));
        assert!(out.starts_with("network   home\nmonth     2026-07\nrelayed   "), "{out}");
        assert_eq!(daemon.asked()[0].line, "GET /v1/networks/home/usage");
        let Ended { out, .. } = daemon.run(&["usage", "home", "--json"]);
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), answer);
    }
}

#[test]
fn an_earlier_month_is_asked_for_and_no_warning_of_it_is_due() {
    let daemon = Daemon::saying(200, &usage(100, Some(100), true));
    let Ended { code, err, .. } = daemon.run(&["usage", "home", "--month", "2026-06"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(daemon.asked()[0].line, "GET /v1/networks/home/usage?month=2026-06");
    for wrong in ["2026-13", "2026", "june", "2026-06-01"] {
        let Ended { code, err, .. } = daemon.run(&["usage", "home", "--month", wrong]);
        assert!(code == 2 && err.contains("a month looks like 2026-07"), "{err}");
    }
}

#[test]
fn without_a_network_all_are_shown() {
    let daemon = Daemon::new(|asked| {
        let answer = if asked.line == "GET /v1/networks" {
            let joined = [network("home", "online", None), network("office", "online", None)];
            json!({"version": 1, "networks": joined})
        } else {
            let mut answer = usage(5, None, true);
            answer["network"] = json!(if asked.line.contains("office") { "office" } else { "home" });
            answer
        };
        http(200, answer.to_string().as_bytes())
    });
    let Ended { code, out, err } = daemon.run(&["usage"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(out.contains("network   home\n") && out.contains("\n\nnetwork   office\n"), "{out}");
    let Ended { out, .. } = daemon.run(&["usage", "--json"]);
    let names: Vec<Value> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["network"].clone()).collect();
    assert_eq!(names, ["home", "office"]);
    let none = Daemon::saying(200, &json!({"version": 1, "networks": []}));
    let Ended { code, out, err } = none.run(&["usage"]);
    assert_eq!((code, out.as_str()), (0, ""));
    assert!(err.starts_with("hint: "), "{err}");
}

#[test]
fn a_relay_that_is_refused_for_its_quota_ends_a_command_with_7_and_says_where_to_look() {
    let daemon = Daemon::saying(429, &failure("quota", Some("cococtl usage home")));
    for words in [&["tunnel", "open", "front-door"][..], &["ping", "camera", "-c", "1"]] {
        let Ended { code, out, err } = daemon.run(words);
        assert_eq!((code, out.as_str()), (7, ""));
        assert!(err.starts_with("error: it is so\n"), "{err}");
        let hint = err.lines().last().unwrap();
        assert!(hint.starts_with("hint: cococtl ") && hint.ends_with(" usage home"), "{err}");
    }
}

#[test]
fn the_status_warns_of_a_quota_that_nears_its_end() {
    let mut home = network("home", "online", None);
    home["manager"]["quota"] = json!({"used": 81, "limit": 100});
    let daemon = Daemon::saying(200, &status(&[home], &[]));
    let Ended { code, out, .. } = daemon.run(&["status"]);
    assert_eq!(code, 0);
    assert!(out.contains("\nWARNING   81 % of the 100 B that may be relayed in a month are used\n"), "{out}");
}

#[test]
fn what_the_daemon_says_cannot_draw_on_the_terminal() {
    let mut answer = usage(5, None, true);
    answer["plan"] = json!("\u{1b}[2Jfree\nrelayed   0 B");
    answer["days"][0]["day"] = json!("\u{202e}x");
    let Ended { out, .. } = Daemon::saying(200, &answer).run(&["usage", "home"]);
    assert!(out.contains("plan      [2Jfreerelayed   0 B\n") && !out.contains('\u{202e}'), "{out}");
}
