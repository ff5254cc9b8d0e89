//! Where the programs are. One that is missing fails the test and says what to install.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Debian's python, whose packages are where `apt-get` puts them.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// The programs of others, and the Debian packages they are in.
const PACKAGES: [(&str, &str); 21] = [
    ("curl", "curl"),
    ("cvlc", "vlc-bin"),
    ("ffprobe", "ffmpeg"),
    ("ip", "iproute2"),
    ("mosquitto", "mosquitto"),
    ("mosquitto_passwd", "mosquitto"),
    ("mosquitto_pub", "mosquitto-clients"),
    ("mosquitto_sub", "mosquitto-clients"),
    ("musl-gcc", "musl-tools"),
    ("nginx", "nginx"),
    ("ping", "iputils-ping"),
    ("prlimit", "util-linux"),
    ("setpriv", "util-linux"),
    ("ssh", "openssh-client"),
    ("ssh-keygen", "openssh-client"),
    ("sshd", "openssh-server"),
    ("systemd-analyze", "systemd"),
    ("systemd-socket-activate", "systemd"),
    ("unshare", "util-linux"),
    ("wrk", "wrk"),
    ("tcpdump", "tcpdump"),
];

/// One of our own binaries, built beside this test.
pub(crate) fn ours(name: &str) -> PathBuf {
    // target/debug/deps/e2e-HASH, so two up.
    let test = env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(path.is_file(), "{} is missing: run `make build`", path.display());
    path
}

/// A program of somebody else.
pub(crate) fn theirs(name: &str) -> PathBuf {
    let package = PACKAGES.iter().find(|(program, _)| *program == name).map_or(name, |(_, package)| package);
    let path = env::var_os("PATH").unwrap_or_default();
    // Daemons live in sbin, which is not in everybody's PATH.
    let mut places: Vec<PathBuf> = env::split_paths(&path).collect();
    places.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = places.into_iter().map(|place| place.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is missing: install the Debian package {package}"))
}

/// Debian's python, which has to have `module`.
pub(crate) fn python(module: &str, package: &str) -> PathBuf {
    let check = Command::new(PYTHON).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
    assert!(
        check.is_ok_and(|status| status.success()),
        "{PYTHON} has no module {module}: install the Debian package {package}"
    );
    PYTHON.into()
}

/// A file of this repository.
pub(crate) fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A command that does not depend on who runs the tests.
pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    clean(Command::new(program.as_ref()))
}

/// That command, without what whoever runs the tests has in the environment.
pub(crate) fn clean(mut command: Command) -> Command {
    for name in ["COCO_APP", "COCO_SOCKET", "COCO_LOG", "NOTIFY_SOCKET"] {
        command.env_remove(name);
    }
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}
