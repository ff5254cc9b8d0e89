//! What a daemon finds when it starts, and will not start with.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use crate::refusal::{NOBODY, cocod, refusal, root};
use crate::support::net::{HOME, Lab, Net};
use crate::support::process::run;
use crate::support::wait::PATIENCE;

/// Exit code for a configuration that cannot be used.
const BAD_CONFIG: i32 = 78;

/// A state directory with a network in it, and no daemon.
fn left_behind(net: &Net) -> PathBuf {
    let mut camera = net.app("camera");
    camera.create(HOME, &net.address);
    camera.kill();
    net.lab.path("camera")
}

fn key(state: &Path) -> PathBuf {
    fs::read_dir(state.join("keys")).unwrap().next().unwrap().unwrap().path()
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Neither start nor check.
fn is_refused(state: &Path, words: &[&str]) {
    for (code, check) in [(1, None), (BAD_CONFIG, Some("--check"))] {
        let told = refusal(cocod(state).args(check), code);
        assert!(words.iter().all(|word| told.contains(word)), "{words:?} in {told}");
    }
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let net = Net::new();
    let state = left_behind(&net);
    let key = key(&state);
    for mode in [0o640, 0o604, 0o660, 0o644, 0o620] {
        chmod(&key, mode);
        is_refused(&state, &[key.file_name().unwrap().to_str().unwrap(), "chmod"]);
    }
    chmod(&key, 0o600);
    assert_eq!(run(cocod(&state).arg("--check"), b"", PATIENCE).code, 0);
}

#[test]
fn a_key_that_is_none_is_refused() {
    let net = Net::new();
    let state = left_behind(&net);
    let key = key(&state);
    let good = fs::read(&key).unwrap();
    let mut long = good.clone();
    long.push(0);
    let later = [&b"coco-node-key-2\n"[..], &good[16..]].concat();
    for bytes in [&b""[..], b"nonsense", &good[..good.len() - 1], &long, &later, &vec![b'x'; 100_000]] {
        fs::write(&key, bytes).unwrap();
        is_refused(&state, &[key.file_name().unwrap().to_str().unwrap()]);
    }
    fs::remove_file(&key).unwrap();
    let told = refusal(&mut cocod(&state), 1);
    assert!(told.contains(key.file_name().unwrap().to_str().unwrap()), "{told}");
    fs::create_dir(&key).unwrap();
    is_refused(&state, &[key.file_name().unwrap().to_str().unwrap()]);
}

#[test]
fn a_state_directory_of_another_version_is_refused_and_left_alone() {
    let net = Net::new();
    let state = left_behind(&net);
    let version = state.join("version");
    for text in ["2\n", "", "1", "nonsense\u{1b}[31m\n"] {
        fs::write(&version, text).unwrap();
        is_refused(&state, &["layout"]);
        assert_eq!(fs::read_to_string(&version).unwrap(), text);
    }
    fs::write(&version, "1\n").unwrap();

    let database = rusqlite::Connection::open(state.join("state.db")).unwrap();
    for schema in [1, 99, -1] {
        database.pragma_update(None, "user_version", schema).unwrap();
        let told = refusal(&mut cocod(&state), 1);
        assert!(told.contains(&format!("schema {schema}")), "{told}");
        let found: i64 = database.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(found, schema);
    }
}

#[test]
fn a_damaged_database_is_refused() {
    let net = Net::new();
    let state = left_behind(&net);
    for name in ["state.db-wal", "state.db-shm"] {
        // Not there when the daemon has ended well.
        let _ = fs::remove_file(state.join(name));
    }
    fs::write(state.join("state.db"), vec![b'x'; 8192]).unwrap();
    let told = refusal(&mut cocod(&state), 1);
    assert!(told.contains("database"), "{told}");
}

#[test]
fn a_state_directory_is_for_one_daemon_and_one_user() {
    let net = Net::new();
    let camera = net.app("camera");
    let state = net.lab.path("camera");
    let told = refusal(cocod(&state).arg("--socket").arg(net.lab.path("second.sock")), 1);
    assert!(told.contains("another daemon"), "{told}");
    let told = refusal(cocod(&net.lab.path("other")).arg("--socket").arg(camera.socket()), 1);
    assert!(told.contains("another daemon"), "{told}");
    camera.ok(&["status"]);

    let open = net.lab.path("open");
    fs::create_dir(&open).unwrap();
    for mode in [0o755, 0o770, 0o701, 0o777] {
        chmod(&open, mode);
        is_refused(&open, &["0700"]);
    }
    // Where it is counts, not where the link to it is.
    let link = net.lab.path("link");
    symlink(&open, &link).unwrap();
    is_refused(&link, &["0700"]);
    chmod(&open, 0o700);
    assert_eq!(run(cocod(&link).arg("--check"), b"", PATIENCE).code, 0);
    if root() {
        chown(&open, Some(NOBODY), None).unwrap();
        is_refused(&link, &["of this user"]);
    }

    let file = net.lab.path("file");
    fs::write(&file, "").unwrap();
    refusal(&mut cocod(&file), 1);
    refusal(&mut cocod(&file.join("below")), 1);
}

#[test]
fn a_socket_that_cannot_be_made_is_said() {
    let net = Net::new();
    let state = net.lab.path("state");
    let file = net.lab.path("file");
    fs::write(&file, "precious").unwrap();
    let long = net.lab.path(&"a".repeat(120));
    for socket in [&file, &file.join("below"), &long, Path::new("/proc/no/such.sock")] {
        let told = refusal(cocod(&state).arg("--socket").arg(socket), 1);
        assert!(told.contains(socket.to_str().unwrap()), "{told}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
}

fn config(lab: &Lab, text: impl AsRef<[u8]>) -> PathBuf {
    let path = lab.path("cocod.toml");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn a_configuration_with_a_mistake_in_it_is_refused() {
    let net = Net::new();
    let state = net.lab.path("state");
    let long = format!("{}[tunnel]\nmax_clients = 1\n", "# much to say\n".repeat(6000));
    for (text, word) in [
        ("[node]\nlistne = []\n", "listne"),
        ("colour = 1\n", "colour"),
        ("[node]\nname = \"A b\"\n", "node.name"),
        ("[node]\nlisten = [\"1.2.3.4\"]\n", "listen"),
        ("[tunnel]\nmax_clients = 0\n", "max_clients"),
        ("[log]\nlevel = \"a=b=c\"\n", "log.level"),
        ("[node\n", "line 1"),
        (&long, "long"),
    ] {
        let config = config(&net.lab, text);
        for check in [None, Some("--check")] {
            let told = refusal(cocod(&state).arg("--config").arg(&config).args(check), BAD_CONFIG);
            assert!(told.contains(word) && told.contains("cocod.toml"), "{text:.60}: {told}");
        }
    }
    let binary = config(&net.lab, [0xff, 0xfe, 0]);
    refusal(cocod(&state).arg("--config").arg(binary), BAD_CONFIG);
    refusal(cocod(&state).arg("--config").arg(net.lab.path("nowhere.toml")), BAD_CONFIG);
    refusal(cocod(&state).arg("--config").arg(net.lab.path("")), BAD_CONFIG);
    assert!(!state.exists(), "something was made");
}

#[test]
fn a_good_configuration_passes_the_check_which_makes_nothing() {
    let net = Net::new();
    let state = net.lab.path("state");
    let example = include_str!("../../config.example.toml");
    let config = config(&net.lab, example);
    let ran = run(cocod(&state).arg("--config").arg(&config).arg("--check"), b"", PATIENCE);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(!state.exists());
    // A running daemon is not in the way of a look.
    let camera = net.app("camera");
    let ran = run(cocod(&net.lab.path("camera")).arg("--check"), b"", PATIENCE);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    camera.ok(&["status"]);
}
