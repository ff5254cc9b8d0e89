//! Programs of others between two hosts.

use std::fs;

use coconet::control::{Direction, TunnelState};

use crate::house::{BOAT_IP, House, address, facts, listed, on, pinged, reaches};
use crate::support::net::HOME;
use crate::support::process::run_well;
use crate::support::programs::{clean, command, theirs};
use crate::support::wait::{PATIENCE, is, until};

#[test]
fn ping_reaches_a_node_by_its_own_address_which_lists_show() {
    let house = House::new();
    let boat = address(&house.boat);
    let (received, told) = pinged(&house.desk, boat, "56", "5");
    assert_eq!(received, 5, "{told}");
    let listed = listed(&house.desk);
    assert_eq!(listed, [("boat".to_owned(), Some(boat)), ("desk".to_owned(), None)]);
    let (there, here) = (facts(&house.boat), facts(&house.desk));
    assert_eq!(there.nodes.iter().map(|name| name.as_str()).collect::<Vec<_>>(), ["desk"]);
    assert!(there.packets_in >= 5 && here.packets_in >= 5, "{there:?} {here:?}");
    assert_eq!((there.interface.unwrap(), here.interface.unwrap()), ("coco-boat".into(), "coco-desk".into()));
    let tunnel = house.boat.tunnel(BOAT_IP);
    assert_eq!((tunnel.direction, tunnel.state), (Direction::Expose, TunnelState::Open));
    assert!(tunnel.clients == 1 && tunnel.bytes_in > 0 && tunnel.bytes_out > 0, "{tunnel:?}");
    let shown = house.desk.ok(&["network", "show", HOME]);
    assert!(shown.contains(&boat.to_string()), "{shown}");
    let refused = house.desk.refused(&[2], &["tunnel", "open", BOAT_IP]);
    assert!(refused.contains(&boat.to_string()), "{refused}");
}

#[test]
fn nothing_else_of_the_machine_is_changed() {
    let house = House::new();
    let routes = on(house.desk.host(), "ip", &["-6", "route"]).stdout;
    let ours: Vec<&str> = routes.lines().filter(|line| line.contains("coco-desk")).collect();
    let own = address(&house.desk);
    let prefix = format!("{}/48 ", coconet::address::prefix_of(own));
    assert!(ours.iter().all(|line| line.starts_with(&prefix) || line.starts_with("fe80::/64 ")), "{routes}");
    assert!(ours.iter().any(|line| line.starts_with(&prefix)), "{routes}");
    let addresses = on(house.desk.host(), "ip", &["-6", "address", "show", "dev", "coco-desk"]).stdout;
    assert!(addresses.contains(&format!("inet6 {own}/48")), "{addresses}");
}

#[test]
fn a_shell_runs_over_it() {
    let house = House::new();
    let boat = address(&house.boat);
    let keys = house.world.lab.path("ssh");
    fs::create_dir(&keys).unwrap();
    for name in ["host", "user"] {
        let mut keygen = command(theirs("ssh-keygen"));
        run_well(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(keys.join(name)));
    }
    let shown = |name: &str| keys.join(name).display().to_string();
    // It wants a directory of its own, which a machine where it is no service does not have.
    let own = "mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec \"$0\" \"$@\"";
    let mut daemon = clean(house.boat.host().command("/bin/sh"));
    daemon.args([
        "-c",
        own,
        theirs("sshd").to_str().unwrap(),
        "-D",
        "-e",
        "-f",
        "/dev/null",
        "-h",
        &shown("host"),
        "-p",
        "2222",
    ]);
    let listen = format!("ListenAddress [{boat}]");
    let keys_file = format!("AuthorizedKeysFile {}", shown("user.pub"));
    for option in [&listen, &keys_file, "StrictModes no", "UsePAM no", "PermitRootLogin yes", "PidFile none"]
    {
        daemon.args(["-o", option]);
    }
    let _daemon = house.world.lab.start("sshd", &daemon);
    let boat = boat.to_string();
    let words = [
        "-F",
        "/dev/null",
        "-i",
        &shown("user"),
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-p",
        "2222",
        &format!("root@{boat}"),
        "head -c 3000000 /dev/zero | sha256sum",
    ];
    until("the shell answers", PATIENCE, || {
        let ran = on(house.desk.host(), "ssh", &words);
        is(ran.stdout.starts_with("35bce4eae54ec8e6"), format!("{}{}", ran.stdout, ran.stderr))
    });
}

#[test]
fn iperf_goes_both_ways_over_tcp_and_udp() {
    let house = House::new();
    let boat = address(&house.boat);
    let mut server = clean(house.boat.host().command(theirs("iperf3").to_str().unwrap()));
    server.args(["-s", "-B", &boat.to_string()]);
    let _server = house.world.lab.start("iperf3", &server);
    reaches(&house.desk, boat);
    let to = boat.to_string();
    for words in
        [&["-t", "1"][..], &["-t", "1", "-R"], &["-t", "1", "-P", "4"], &["-t", "1", "-u", "-b", "20M"]]
    {
        let words = [&["-c", &to, "-J"], words].concat();
        until("iperf3 measures", PATIENCE, || {
            let ran = on(house.desk.host(), "iperf3", &words);
            let told = format!("{}{}", ran.stdout, ran.stderr);
            let said: serde_json::Value = serde_json::from_str(&ran.stdout).map_err(|_| told.clone())?;
            let received =
                ["sum_received", "sum"].iter().find_map(|sum| said["end"][sum]["bits_per_second"].as_f64());
            received.filter(|bits| *bits > 1e6).ok_or(told)
        });
    }
}
