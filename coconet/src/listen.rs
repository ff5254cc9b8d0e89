//! Where an opened tunnel listens, as people write it and as the daemon keeps it: `127.0.0.1:8554`,
//! `[::1]:8554`, or `unix:/run/user/1000/coco/front-door.sock`.

use core::fmt;
use core::str::FromStr;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Component, Path, PathBuf};

use crate::name::shown;
use crate::resource::Kind;

/// What the path of a unix socket stands behind.
const UNIX: &str = "unix:";

/// Longest path of a unix socket, in bytes: more does not fit into an address of the kernel's, with which
/// applications come.
pub const UNIX_PATH_MAX: usize = 107;

/// Where a tunnel listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Listen {
    /// An IP address and a port, for TCP, UDP or both.
    Ip(SocketAddr),
    /// A unix stream socket, by its absolute path without `.` and `..`.
    Unix(PathBuf),
}

/// Why a text is no place to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ListenError {
    /// Neither an address nor a path.
    #[error("a place to listen looks like 127.0.0.1:5554, [::1]:5554 or unix:/PATH")]
    Shape,
    /// A path that is not plain.
    #[error(
        "the path of a unix socket begins with /, names a file, and has no .., spaces or control characters"
    )]
    Path,
    /// A path that no socket can have.
    #[error("the path of a unix socket has at most {UNIX_PATH_MAX} bytes")]
    Long,
}

impl Listen {
    /// Whether other machines may reach it.
    pub fn is_public(&self) -> bool {
        match self {
            Self::Ip(address) => !address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => false,
        }
    }

    /// What applications are given for a resource of `kind` that listens here. There is no URL that names
    /// both a unix socket and a path behind it and that programs agree on: the socket alone is named.
    pub fn url(&self, kind: Kind, path: &str) -> String {
        match self {
            Self::Ip(address) => {
                let mut address = *address;
                // All addresses are none that could be called; this machine's own is one of them.
                if address.ip().is_unspecified() {
                    address.set_ip(match address {
                        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
                    });
                }
                format!("{kind}://{address}{path}")
            }
            Self::Unix(_) => self.to_string(),
        }
    }
}

impl FromStr for Listen {
    type Err = ListenError;

    fn from_str(text: &str) -> Result<Self, ListenError> {
        let Some(path) = text.strip_prefix(UNIX) else {
            return text.parse().map(Self::Ip).map_err(|_| ListenError::Shape);
        };
        if path.len() > UNIX_PATH_MAX {
            return Err(ListenError::Long);
        }
        // One word, as scripts take it, and fit for every terminal.
        let word = !path.contains(char::is_whitespace) && shown(path) == path;
        let plain = word && path.starts_with('/') && !path.ends_with('/');
        let upwards = Path::new(path).components().any(|part| part == Component::ParentDir);
        if !plain || upwards || path.ends_with("/.") {
            return Err(ListenError::Path);
        }
        // Put together again, it is without doubled slashes and dots: one file has one spelling.
        Ok(Self::Unix(Path::new(path).components().collect()))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn addresses_and_paths_parse_and_print() {
        for (text, printed) in [
            ("127.0.0.1:8554", "127.0.0.1:8554"),
            ("[::1]:0", "[::1]:0"),
            ("unix:/run/coco/door.sock", "unix:/run/coco/door.sock"),
            ("unix://run//coco/./door.sock", "unix:/run/coco/door.sock"),
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().to_string(), printed);
        }
    }

    #[test]
    fn each_mistake_has_its_own_reason() {
        for (text, reason) in [
            ("", ListenError::Shape),
            ("8554", ListenError::Shape),
            ("localhost:8554", ListenError::Shape),
            ("/run/x.sock", ListenError::Shape),
            ("unix:", ListenError::Path),
            ("unix:x.sock", ListenError::Path),
            ("unix:/", ListenError::Path),
            ("unix:/run/", ListenError::Path),
            ("unix:/run/.", ListenError::Path),
            ("unix:/run/..", ListenError::Path),
            ("unix:/run/../etc/x", ListenError::Path),
            ("unix:/run/a\nb", ListenError::Path),
            ("unix:/run/a b", ListenError::Path),
            ("unix:/run/\u{1b}[2J", ListenError::Path),
            ("unix:/run/\u{202e}kcos", ListenError::Path),
        ] {
            assert_eq!(text.parse::<Listen>(), Err(reason), "{text:?}");
        }
        let long = |length: usize| format!("unix:/{}", "x".repeat(length - 1)).parse::<Listen>();
        assert!(long(UNIX_PATH_MAX).is_ok());
        assert_eq!(long(UNIX_PATH_MAX + 1), Err(ListenError::Long));
    }

    #[test]
    fn only_loopback_addresses_and_unix_sockets_are_of_this_machine_alone() {
        for (text, public) in [
            ("127.0.0.1:1", false),
            ("127.9.9.9:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("unix:/x", false),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("192.168.1.2:1", true),
            ("[fe80::1]:1", true),
        ] {
            assert_eq!(text.parse::<Listen>().unwrap().is_public(), public, "{text}");
        }
    }

    #[test]
    fn the_url_names_the_address_and_the_path_or_the_socket_alone() {
        let url = |text: &str| text.parse::<Listen>().unwrap().url(Kind::Http, "/a?b");
        assert_eq!(url("[::1]:80"), "http://[::1]:80/a?b");
        assert_eq!(url("192.0.2.1:80"), "http://192.0.2.1:80/a?b");
        assert_eq!(url("0.0.0.0:80"), "http://127.0.0.1:80/a?b");
        assert_eq!(url("[::]:80"), "http://[::1]:80/a?b");
        assert_eq!(url("unix:/x.sock"), "unix:/x.sock");
    }
}
