//! Many requests.

use coconet::control::Facts;

use crate::support::net::Net;
use crate::support::process::run_well;
use crate::support::programs::{command, theirs};
use crate::support::targets::Nginx;

const REQUESTS: u64 = 10_000;

/// Rounds of wrk, which knows durations and no counts, that a slow machine may take.
const ROUNDS: usize = 15;

#[test]
fn ten_thousand_requests_by_wrk_and_none_fails() {
    // Alone: it takes all the processor there is.
    let net = Net::alone();
    let (camera, viewer) = net.pair();
    let nginx = Nginx::start(&net.lab);
    nginx.file("small", [b'x'; 1000]);
    camera.expose(&nginx.url(), "web");
    let url = viewer.open("web");

    let mut answered = 0;
    for _ in 0..ROUNDS {
        let mut wrk = command(theirs("wrk"));
        wrk.args(["--threads", "1", "--connections", "32", "--duration", "2s", "--timeout", "10s"]);
        let told = run_well(wrk.arg(format!("{url}small")));
        assert!(!told.contains("Socket errors") && !told.contains("Non-2xx"), "{told}");
        let count = told.lines().find_map(|line| line.trim().split_once(" requests in "));
        answered += count.and_then(|(count, _)| count.parse::<u64>().ok()).unwrap();
        if answered >= REQUESTS {
            break;
        }
    }

    assert!(answered >= REQUESTS, "{answered} in all rounds");
    for app in [&camera, &viewer] {
        let facts = app.tunnel("web").facts;
        let Some(Facts::Http(facts)) = facts else { panic!("{facts:?}") };
        assert!(facts.requests >= answered && facts.requests_per_second > 0.0, "{facts:?}");
        assert!(facts.refused.is_empty(), "{facts:?}");
    }
}
