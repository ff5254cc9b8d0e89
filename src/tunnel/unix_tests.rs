#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::io::Read;
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener as Plain, UnixStream};

use super::*;

/// A directory for one test.
struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        let number = u64::from_be_bytes(random::bytes().unwrap());
        let dir = std::env::temp_dir().join(format!("coco-unix-{number:x}"));
        fs::create_dir(&dir).unwrap();
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn make(&self, name: &str) -> PathBuf {
        fs::create_dir_all(self.path(name)).unwrap();
        self.path(name)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn dirs(dir: &Dir) -> SocketDirs {
    SocketDirs::new([dir.0.clone()])
}

fn bind(dir: &Dir, name: &str) -> Result<UnixSocket, UnixError> {
    dirs(dir).bind(&dir.path(name), false)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[tokio::test]
async fn a_socket_is_for_its_user_unless_others_may() {
    let dir = Dir::new();
    let own = bind(&dir, "own").unwrap();
    let shared = dirs(&dir).bind(&dir.path("shared"), true).unwrap();
    assert_eq!((mode(&dir.path("own")), mode(&dir.path("shared"))), (0o600, 0o666));
    let client = UnixStream::connect(dir.path("own")).unwrap();
    let (accepted, _) = own.listener().accept().await.unwrap();
    drop((accepted, shared));
    assert_eq!((&client).read(&mut [0]).unwrap(), 0);
}

#[tokio::test]
async fn a_socket_goes_with_its_listener_and_leaves_nothing() {
    let dir = Dir::new();
    let socket = bind(&dir, "door").unwrap();
    assert_eq!(dir.names(), ["door"]);
    drop(socket);
    assert!(dir.names().is_empty());
}

#[tokio::test]
async fn what_has_taken_its_place_meanwhile_stays() {
    let dir = Dir::new();
    let socket = bind(&dir, "door").unwrap();
    fs::remove_file(dir.path("door")).unwrap();
    fs::write(dir.path("door"), "a letter").unwrap();
    drop(socket);
    assert_eq!(fs::read_to_string(dir.path("door")).unwrap(), "a letter");
}

#[tokio::test]
async fn a_socket_nobody_listens_on_is_replaced() {
    let dir = Dir::new();
    drop(Plain::bind(dir.path("door")).unwrap());
    let _socket = bind(&dir, "door").unwrap();
    UnixStream::connect(dir.path("door")).unwrap();
    assert_eq!(dir.names(), ["door"]);
}

#[tokio::test]
async fn a_socket_somebody_listens_on_is_left_alone() {
    let dir = Dir::new();
    let socket = bind(&dir, "door").unwrap();
    assert!(matches!(bind(&dir, "door"), Err(UnixError::Taken)));
    UnixStream::connect(dir.path("door")).unwrap();
    drop(socket);
    // With a queue that is full, connecting would wait for ever.
    let full = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    full.bind(&SockAddr::unix(dir.path("door")).unwrap()).unwrap();
    full.listen(0).unwrap();
    let _waiting = UnixStream::connect(dir.path("door")).unwrap();
    assert!(matches!(bind(&dir, "door"), Err(UnixError::Taken)));
}

#[tokio::test]
async fn what_is_no_socket_of_ours_is_left_alone() {
    let dir = Dir::new();
    fs::write(dir.path("letter"), "dear").unwrap();
    dir.make("drawer");
    symlink(dir.path("letter"), dir.path("link")).unwrap();
    symlink(dir.path("nothing"), dir.path("loose")).unwrap();
    let gone = Plain::bind(dir.path("stale")).unwrap();
    drop(gone);
    symlink(dir.path("stale"), dir.path("around")).unwrap();
    for name in ["letter", "drawer", "link", "loose", "around"] {
        assert!(matches!(bind(&dir, name), Err(UnixError::Foreign)), "{name}");
    }
    assert_eq!(fs::read_to_string(dir.path("letter")).unwrap(), "dear");
    assert_eq!(dir.names(), ["around", "drawer", "letter", "link", "loose", "stale"]);
    if Uid::effective().is_root() {
        std::os::unix::fs::chown(dir.path("stale"), Some(1), Some(1)).unwrap();
        assert!(matches!(bind(&dir, "stale"), Err(UnixError::Foreign)));
    }
}

#[tokio::test]
async fn sockets_are_made_below_the_named_directories_only() {
    let (dir, other) = (Dir::new(), Dir::new());
    dir.make("a/b");
    assert!(bind(&dir, "a/b/door").is_ok());
    assert!(matches!(dirs(&dir).bind(&other.path("door"), false), Err(UnixError::Elsewhere)));
    let beside = PathBuf::from(format!("{}x", dir.0.display()));
    fs::create_dir(&beside).unwrap();
    let refused = dirs(&dir).bind(&beside.join("door"), false);
    fs::remove_dir(&beside).unwrap();
    assert!(matches!(refused, Err(UnixError::Elsewhere)));
    assert!(matches!(SocketDirs::default().bind(&dir.path("door"), false), Err(UnixError::Elsewhere)));
    assert!(matches!(bind(&dir, "no/door"), Err(UnixError::Directory(..))));
    assert!(matches!(bind(&dir, "a/../door"), Err(UnixError::Elsewhere)));
}

#[tokio::test]
async fn a_link_below_a_named_directory_leads_nowhere() {
    let (dir, other) = (Dir::new(), Dir::new());
    other.make("inner");
    symlink(&other.0, dir.path("way")).unwrap();
    assert!(matches!(bind(&dir, "way/door"), Err(UnixError::Directory(..))));
    assert!(matches!(bind(&dir, "way/inner/door"), Err(UnixError::Directory(..))));
    assert_eq!(other.names(), ["inner"]);
}

#[tokio::test]
async fn a_named_directory_may_be_a_link_and_be_named_by_both_its_names() {
    let (dir, other) = (Dir::new(), Dir::new());
    symlink(&other.0, dir.path("run")).unwrap();
    let named = SocketDirs::new([dir.path("run")]);
    let first = named.bind(&dir.path("run/door"), false).unwrap();
    let second = named.bind(&other.path("other"), false).unwrap();
    assert_eq!(other.names(), ["door", "other"]);
    drop((first, second));
}

#[tokio::test]
async fn a_directory_where_everybody_can_replace_the_file_is_refused() {
    let dir = Dir::new();
    fs::set_permissions(&dir.0, Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(bind(&dir, "door"), Err(UnixError::Unsafe(_))));
    fs::set_permissions(&dir.0, Permissions::from_mode(0o1777)).unwrap();
    assert!(bind(&dir, "door").is_ok());
}

#[tokio::test]
async fn a_directory_that_is_moved_away_takes_its_socket_along() {
    let dir = Dir::new();
    let folder = dir.make("folder");
    let open = dirs(&dir).open_folder(&folder).unwrap();
    fs::rename(&folder, dir.path("moved")).unwrap();
    fs::create_dir(&folder).unwrap();
    fs::write(open.path.join("here"), "").unwrap();
    assert!(dir.path("moved/here").exists() && !folder.join("here").exists());
}
