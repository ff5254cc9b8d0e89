//! `doctor`: what it asks, prints and ends with.

use serde_json::{Value, json};

use crate::daemon::{Daemon, Ended};

fn check(check: &str, status: &str, found: Option<&str>, reason: &str, hint: Option<&str>) -> Value {
    json!({"check": check, "peer": null, "status": status, "found": found, "reason": reason, "hint": hint})
}

fn examined(network: &str, checks: &[Value]) -> Value {
    json!({"network": network, "checks": checks})
}

#[test]
fn each_check_has_a_line_and_what_can_be_done_another() {
    let mut mtu = check("mtu", "ok", Some("1452"), "as on most lines", None);
    mtu["peer"] = json!("camera");
    let checks = [
        check("udp", "ok", Some("yes"), "the manager answers", None),
        check("mapping", "warning", Some("address and port-dependent"), "it is so", Some("do that")),
        check("captive-portal", "unknown", None, "nobody can tell", None),
        mtu,
    ];
    let daemon = Daemon::saying(200, &json!({"version": 1, "networks": [examined("home", &checks)]}));
    let out = "\
home:
  ok       udp             yes: the manager answers
  warning  mapping         address and port-dependent: it is so
                           hint: do that
  unknown  captive-portal  nobody can tell
  ok       mtu camera      1452: as on most lines
";
    assert_eq!(daemon.run(&["doctor", "home"]), Ended { code: 0, out: out.into(), err: String::new() });
    assert_eq!(daemon.asked()[0].line, "GET /v1/doctor?network=home");
}

#[test]
fn what_has_failed_is_the_exit_status() {
    let bad = check("udp", "failed", Some("no"), "blocked", None);
    let good = check("clock", "ok", None, "right", None);
    let networks = [examined("home", &[good, bad.clone()]), examined("work", &[bad])];
    let answer = json!({"version": 1, "networks": networks});
    let daemon = Daemon::saying(200, &answer);
    let Ended { code, out, err } = daemon.run(&["doctor"]);
    assert!(code == 1 && err.starts_with("error: 2 checks failed\nhint: "), "{err}");
    assert!(out.contains("\nwork:\n  failed   udp  no: blocked\n"), "{out}");
    assert_eq!(daemon.asked()[0].line, "GET /v1/doctor");
    let Ended { code, out, .. } = daemon.run(&["doctor", "--json"]);
    assert_eq!((code, serde_json::from_str::<Value>(&out).unwrap()), (1, answer));
}

#[test]
fn a_check_cannot_pass_for_a_line_of_ours() {
    let nasty = check("udp\n  ok  clock", "ok", Some("a\u{1b}[2J"), "b\r\nhint: c", Some("d\nerror: e"));
    let daemon = Daemon::saying(200, &json!({"version": 1, "networks": [examined("home", &[nasty])]}));
    let out = daemon.run(&["doctor"]).out;
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(!out.contains('\u{1b}'), "{out}");
}
