//! How a target is served to those who open it: what `tunnel expose` takes beside the URL.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::resource::Kind;

/// Longest user name or password, in bytes.
pub const LOGIN_MAX: usize = 256;

/// Longest value that `host_header` may have, in bytes.
pub const HOST_HEADER_MAX: usize = 255;

/// Options of one exposed target; those that do not concern its kind are refused with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct ServiceOptions {
    /// Clients at a time, of all who open it together; no limit when absent.
    pub max_clients: Option<u32>,
    /// `rtsp`: one camera session serves all viewers.
    pub share: bool,
    /// `http`: what the target reads as its Host.
    pub host_header: Option<String>,
    /// `mqtt`: make client ids of different nodes distinct.
    pub client_id_suffix: bool,
}

/// A user name and password for the target, which stay at the exporter.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Login {
    user: String,
    password: Zeroizing<String>,
}

/// Why a text is no login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a login is USER:PASSWORD on one line, or on two lines, each of up to 256 bytes without control characters"
)]
pub struct LoginError;

/// An option that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It means nothing for the kind of the target.
    #[error("{option} is for {of} targets")]
    Kind {
        /// As the command line spells it.
        option: &'static str,
        /// The kinds it is for.
        of: &'static str,
    },
    /// The host header is none.
    #[error("a host header is a name or address of up to 255 characters, with a port perhaps")]
    HostHeader,
}

impl ServiceOptions {
    /// Whether nothing was asked for.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Whether each of them, and a login, means something for a target of `kind`.
    pub fn fit(&self, kind: Kind, login: bool) -> Result<(), Unfit> {
        let parsed = matches!(kind, Kind::Http | Kind::Rtsp | Kind::Mqtt);
        for (given, fits, option, of) in [
            (self.share, kind == Kind::Rtsp, "--share", "rtsp"),
            (self.host_header.is_some(), kind == Kind::Http, "--host-header", "http"),
            (self.client_id_suffix, kind == Kind::Mqtt, "--client-id-suffix", "mqtt"),
            (login, parsed, "--login-file", "http, rtsp and mqtt"),
        ] {
            if given && !fits {
                return Err(Unfit::Kind { option, of });
            }
        }
        let plain = |host: &String| {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte);
            (1..=HOST_HEADER_MAX).contains(&host.len()) && host.bytes().all(known)
        };
        if self.host_header.as_ref().is_some_and(|host| !plain(host)) {
            return Err(Unfit::HostHeader);
        }
        Ok(())
    }
}

impl Login {
    /// The user name; never empty.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password; may be empty.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// `USER:PASSWORD`, to be kept where nobody else reads.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}:{}", self.user, *self.password))
    }
}

impl FromStr for Login {
    type Err = LoginError;

    fn from_str(text: &str) -> Result<Self, LoginError> {
        let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        let (user, password) = match text.split_once('\n') {
            Some((user, password)) => (user.strip_suffix('\r').unwrap_or(user), password),
            None => text.split_once(':').ok_or(LoginError)?,
        };
        let fits = |word: &str| word.len() <= LOGIN_MAX && !word.chars().any(char::is_control);
        // A colon would end the name where Basic authentication joins the two (RFC 7617, 2).
        if user.is_empty() || user.contains(':') || !fits(user) || !fits(password) {
            return Err(LoginError);
        }
        Ok(Self { user: user.to_owned(), password: Zeroizing::new(password.to_owned()) })
    }
}

impl TryFrom<String> for Login {
    type Error = LoginError;

    fn try_from(text: String) -> Result<Self, LoginError> {
        Zeroizing::new(text).parse()
    }
}

impl From<Login> for String {
    fn from(login: Login) -> Self {
        login.to_text().to_string()
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
    use super::*;

    #[test]
    fn a_login_is_one_line_or_two() {
        for text in ["admin:se:cret", "admin:se:cret\n", "admin\nse:cret\n", "admin\r\nse:cret\r\n"] {
            let login: Login = text.parse().unwrap();
            assert_eq!((login.user(), login.password()), ("admin", "se:cret"), "{text:?}");
        }
        let login: Login = "admin:".parse().unwrap();
        assert_eq!(login.password(), "");
    }

    #[test]
    fn what_is_none_is_refused() {
        let long = "x".repeat(LOGIN_MAX + 1);
        for text in ["", "admin", ":secret", "a:b\nsecret", "a\nb\nc", "a:\tb", &long, &format!("a:{long}")] {
            assert_eq!(text.parse::<Login>(), Err(LoginError), "{text:?}");
        }
    }

    #[test]
    fn a_host_header_is_a_host_and_never_a_second_line() {
        let fit = |host: &str| {
            let options = ServiceOptions { host_header: Some(host.to_owned()), ..ServiceOptions::default() };
            options.fit(Kind::Http, false)
        };
        for host in ["cams.example", "10.0.0.2:8080", "[fd00::1]:80"] {
            assert_eq!(fit(host), Ok(()), "{host}");
        }
        for host in ["", "a\r\nX: y", "a b", "a/b", "user@a", &"a".repeat(HOST_HEADER_MAX + 1)] {
            assert_eq!(fit(host), Err(Unfit::HostHeader), "{host:?}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let login: Login = "admin:secret".parse().unwrap();
        assert!(!format!("{login:?}").contains("secret"));
    }
}
