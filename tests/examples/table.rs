//! What the examples mean in the test, all of it.

/// What is put in the place of what stands for a secret, for a port that is another one each time, or for a program
/// that wants a screen. `{manager}`, `{url}` and `{port}` are what was printed last.
pub(crate) const SUBSTITUTES: [(&str, &str); 6] = [
    ("mgr1...@manager.example.org:4433", "{manager}"),
    ("network join - ", "network join - < invite.txt "),
    ("rtsp://127.0.0.1:41875/stream1", "{url}"),
    ("rtsp://127.0.0.1:45817/stream1", "{url}"),
    ("mosquitto_sub -p 35127", "mosquitto_sub -p {port}"),
    ("ffplay", "ffprobe -v error"),
];

/// How commands begin that are not run, and why.
pub(crate) const LEFT_OUT: [(&str, &str); 5] = [
    ("make ", "builds everything, and installs what is missing"),
    ("sudo ", "installs into the system"),
    ("ping ", "asks for an address that is another one each time: see the tests of ip"),
    ("cococtl --app boat tunnel expose ip:", "wants an interface: see the tests of ip"),
    ("cococtl run --ip ", "wants a node with an interface: see the tests of ip"),
];

/// Commands that go on until they are told to end, which is after a while.
pub(crate) const ENDLESS: [&str; 4] = ["--watch", "--follow", "dashboard", "mosquitto_sub"];

/// How a command ends that was told to.
pub(crate) const TOLD_TO_END: i32 = 124;

/// Commands that do not end with 0.
const EXIT_CODES: [(&str, &str, i32); 1] =
    // The file says more than the network has.
    [("cococtl-network.1", "cococtl network apply home.toml --dry-run", 9)];

const MANAGER: [&str; 2] = [
    "coco-manager init --state /var/lib/coco-manager --listen 0.0.0.0:4433 --public manager.example.org:4433",
    "coco-manager run --state /var/lib/coco-manager",
];

/// A manager and the daemon that most examples talk to.
const DAEMON: [&str; 3] = [MANAGER[0], MANAGER[1], "cocod --app default &"];

/// Another app of whoever has founded the network by that daemon.
const PLAYER: [&str; 3] = [
    "cocod --app player &",
    "cococtl network invite home --self",
    "cococtl --app player network join --file invite.txt",
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

/// Apps of the README, and their network.
const CAMERA: [&str; 6] = [
    "cocod --app camera &",
    "cococtl --app camera network create home --manager mgr1...@manager.example.org:4433",
    "cocod --app player &",
    "cococtl --app camera network invite home --self",
    "cococtl --app player network join --file invite.txt",
    "cococtl --app player wait --online",
];

/// Its neighbour.
const NEIGHBOUR: [&str; 3] = [
    "cocod --app neighbour &",
    "cococtl --app camera network invite home --user neighbour --role guest",
    "cococtl --app neighbour network join --file invite.txt",
];

/// What pages begin with, where it is not [`DAEMON`] and [`NETWORK`].
pub(crate) const BEFORE: [(&str, &[&[&str]]); 14] = [
    ("coco-manager.8", &[]),
    ("cocod.8", &[]),
    ("cococtl.1", &[&DAEMON, &["cocod --app player &"]]),
    ("cococtl-network.1", &[&DAEMON, &["cocod --app viewer &"]]),
    (
        "cococtl-node.1",
        &[
            &DAEMON,
            &[
                NETWORK[0],
                "cocod --app box &",
                "cococtl network invite home --device",
                "cococtl --app box network join --file invite.txt --node-name camera-box",
                "cocod --app old &",
                "cococtl network invite home --self",
                "cococtl --app old network join --file invite.txt --node-name old-laptop",
            ],
        ],
    ),
    ("cococtl-tunnel.1", &[&DAEMON, &[NETWORK[0]], &PLAYER]),
    ("README.md: ", &[&DAEMON, &[NETWORK[0]], &PLAYER]),
    ("README.md: Your first network", &[]),
    (
        "README.md: Packets",
        &[
            &MANAGER,
            &CAMERA,
            &["cocod --app desk &", CAMERA[3], "cococtl --app desk network join --file invite.txt"],
        ],
    ),
    ("README.md: Cameras", &[&MANAGER, &CAMERA]),
    ("README.md: Web pages and APIs", &[&MANAGER, &CAMERA, &NEIGHBOUR]),
    (
        "README.md: MQTT",
        &[
            &MANAGER,
            &CAMERA,
            &NEIGHBOUR,
            &["cocod --app hub &", CAMERA[3], "cococtl --app hub network join --file invite.txt"],
        ],
    ),
    (
        "README.md: One program, one network",
        &[&DAEMON, &NETWORK, &["cococtl --app camera tunnel expose http://192.168.1.20/ --name nas"]],
    ),
    ("README.md: Scripts", &[&MANAGER, &["cocod --app camera &"]]),
];

/// What happens between two examples, as the text tells or a person would know.
const AFTER: [(&str, &[&str]); 1] = [(
    "cococtl --app camera network invite home --user neighbour --role guest",
    &[NEIGHBOUR[0], NEIGHBOUR[2]],
)];

/// Examples on another machine, where another daemon is the usual one.
const ELSEWHERE: [(&str, &str, &str); 1] =
    [("README.md: ", "cococtl tunnel open front-door", "cococtl --app player tunnel open front-door")];

/// What is done before the examples of a page.
pub(crate) fn before(page: &str) -> Vec<&'static str> {
    match BEFORE.iter().find(|(name, _)| *name == page) {
        Some((_, parts)) => parts.concat(),
        None => DAEMON.into_iter().chain(NETWORK).collect(),
    }
}

/// What happens after an example.
pub(crate) fn after(command: &str) -> &'static [&'static str] {
    AFTER.iter().find(|(text, _)| *text == command).map_or(&[], |(_, commands)| commands)
}

/// The command, for the daemon of the machine it is typed on.
pub(crate) fn elsewhere(page: &str, command: &str) -> String {
    let own = ELSEWHERE.iter().find(|(name, text, _)| *name == page && *text == command);
    own.map_or(command, |(_, _, there)| there).to_owned()
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
