//! What the examples mean in the test, all of it.

/// What is put in the place of what stands for a secret or an id, or of a program that wants a screen. Values in braces are
/// those of the house, see [`crate::house::House`].
pub(crate) const SUBSTITUTES: [(&str, &str); 3] = [
    ("mgr1...@manager.example.org:4433", "{manager}"),
    ("cococtl network join -", "cococtl network join - < invite.txt"),
    ("ffplay", "ffprobe -v error"),
];

/// How commands begin that are not run, and why.
pub(crate) const LEFT_OUT: [(&str, &str); 0] = [];

/// Commands that go on until they are told to end, which is after a while.
pub(crate) const ENDLESS: [&str; 3] = ["--watch", "--follow", "dashboard"];

/// How a command ends that was told to.
pub(crate) const TOLD_TO_END: i32 = 124;

/// Commands that do not end with 0.
const EXIT_CODES: [(&str, &str, i32); 1] =
    // The file says more than the network has.
    [("cococtl-network.1", "cococtl network apply home.toml --dry-run", 9)];

/// A manager and the daemon that most examples talk to.
const DAEMON: [&str; 3] = [
    "coco-manager init --state /var/lib/coco-manager --listen 0.0.0.0:4433 --public manager.example.org:4433",
    "coco-manager run --state /var/lib/coco-manager",
    "cocod --app default &",
];

/// The network that it has founded, and another node of its owner's.
const NETWORK: [&str; 8] = [
    "cococtl network create home --manager mgr1...@manager.example.org:4433 --user alice",
    "cocod --app camera &",
    "cococtl network invite home --self --node-name front-door-camera",
    "cococtl --app camera network join --file invite.txt",
    "cococtl --app camera tunnel expose rtsp://192.168.1.20/stream1 --name front-door",
    "cococtl --app camera tunnel expose http://192.168.1.30/ --name heating",
    "cococtl wait --online",
    "cococtl ping front-door-camera -c 1",
];

/// What pages begin with, where it is not [`DAEMON`] and [`NETWORK`].
pub(crate) const BEFORE: [(&str, &[&str]); 6] = [
    ("coco-manager.8", &[]),
    ("cocod.8", &[]),
    ("cococtl.1", &[DAEMON[0], DAEMON[1], DAEMON[2], "cocod --app player &"]),
    ("cococtl-network.1", &[DAEMON[0], DAEMON[1], DAEMON[2], "cocod --app viewer &"]),
    (
        "cococtl-node.1",
        &[
            DAEMON[0],
            DAEMON[1],
            DAEMON[2],
            NETWORK[0],
            "cocod --app box &",
            "cococtl network invite home --device",
            "cococtl --app box network join --file invite.txt --node-name camera-box",
            "cocod --app old &",
            "cococtl network invite home --self",
            "cococtl --app old network join --file invite.txt --node-name old-laptop",
        ],
    ),
    (
        "cococtl-tunnel.1",
        &[
            DAEMON[0],
            DAEMON[1],
            DAEMON[2],
            NETWORK[0],
            "cocod --app player &",
            "cococtl network invite home --self",
            "cococtl --app player network join --file invite.txt",
        ],
    ),
];

/// What is done before the examples of a page.
pub(crate) fn before(page: &str) -> Vec<&'static str> {
    match BEFORE.iter().find(|(name, _)| *name == page) {
        Some((_, commands)) => commands.to_vec(),
        None => DAEMON.into_iter().chain(NETWORK).collect(),
    }
}

/// Why a command is not run, if it is not.
pub(crate) fn left_out(command: &str) -> Option<&'static str> {
    LEFT_OUT.iter().find(|(begin, _)| command.starts_with(begin)).map(|(_, why)| *why)
}

/// How a command ends when all is well.
pub(crate) fn exit_code(page: &str, command: &str) -> i32 {
    let own = EXIT_CODES.iter().find(|(name, text, _)| *name == page && *text == command);
    match own {
        Some((_, _, code)) => *code,
        None if ENDLESS.iter().any(|word| command.contains(word)) => TOLD_TO_END,
        None => 0,
    }
}
