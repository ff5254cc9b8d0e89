//! Logging in at a camera.
//!
//! A camera that wants a login answers 401 with challenges: in several headers, several in one header, Basic
//! and Digest beside each other. [`challenges`] reads those that can be answered and passes over the rest,
//! [`strongest`] picks one, and [`Answers`] makes the `Authorization` of every request from then on: the
//! nonce is used again, with a count that rises, until the camera names another one. Whether that one is to be
//! answered, or says that the login is wrong, [`Answers::refused_by`] tells.
//!
//! What is signed is the URI exactly as it stands in the request line, so whoever rewrites that line signs
//! afterwards. Nothing that a camera says gets into a header unescaped.

use std::fmt::Write as _;

use data_encoding::{BASE64, HEXLOWER};
use md5::{Digest as _, Md5};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// Longest value of one header that is read. Cameras need 200 bytes, those that offer three challenges in
/// one header 600.
pub const VALUE_MAX: usize = 4096;

/// Most challenges that one answer is read for: all there are names for, twice.
pub const CHALLENGES_MAX: usize = 16;

/// Most parameters of one challenge. RFC 7616 knows nine.
pub const PARAMETERS_MAX: usize = 32;

/// One way to log in that a camera offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// The password itself, in base64.
    Basic,
    /// Proof of the password, for one nonce and one URI.
    Digest(Digest),
}

/// What a Digest challenge asks for (RFC 7616, RFC 2617, and RFC 2069 where there is no `qop`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    stale: bool,
    algorithm: Algorithm,
    /// The algorithm as it was spelled, to be said back; absent ones are not.
    spelled: Option<String>,
    /// Whether `qop` was offered with `auth` in it.
    qop: bool,
}

/// Weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Algorithm {
    hash: Hash,
    /// The `-sess` kind.
    session: bool,
}

/// Weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Hash {
    Md5,
    Sha256,
}

/// The logins for one challenge. Made anew when the camera sends another challenge.
#[derive(Debug)]
pub struct Answers {
    challenge: Challenge,
    cnonce: String,
    count: u32,
}

/// The challenges in the `WWW-Authenticate` headers of one answer, in their order: those that can be
/// answered. What is malformed ends its own header and nothing else.
pub fn challenges<'a>(values: impl IntoIterator<Item = &'a str>) -> Vec<Challenge> {
    let mut found = Vec::new();
    for value in values {
        if value.len() <= VALUE_MAX {
            Reader(value).challenges(&mut found);
        }
    }
    found
}

/// The challenge to be answered: Digest before Basic, SHA-256 before MD5, with `qop` before without; of equals
/// the one that came first.
pub fn strongest(challenges: Vec<Challenge>) -> Option<Challenge> {
    challenges.into_iter().reduce(|best, next| if next.strength() > best.strength() { next } else { best })
}

impl Challenge {
    /// The value of the `Authorization` header for one request. A Digest camera takes each `count` once for
    /// its nonce: [`Answers`] counts.
    pub fn authorization(
        &self,
        user: &str,
        password: &str,
        method: &str,
        uri: &str,
        count: u32,
        cnonce: &str,
    ) -> Zeroizing<String> {
        match self {
            Self::Basic => {
                let pair = Zeroizing::new(format!("{user}:{password}"));
                let encoded = Zeroizing::new(BASE64.encode(pair.as_bytes()));
                Zeroizing::new(format!("Basic {}", *encoded))
            }
            Self::Digest(digest) => digest.authorization(user, password, method, uri, count, cnonce),
        }
    }

    fn strength(&self) -> (Option<Hash>, bool) {
        match self {
            Self::Basic => (None, false),
            Self::Digest(digest) => (Some(digest.algorithm.hash), digest.qop),
        }
    }
}

impl Answers {
    /// To `challenge`, with a random `cnonce`. It stays the same as long as the nonce does: the `-sess`
    /// algorithms are defined by the first one.
    pub fn new(challenge: Challenge, cnonce: String) -> Self {
        Self { challenge, cnonce, count: 0 }
    }

    /// The `Authorization` of the next request.
    pub fn next(&mut self, user: &str, password: &str, method: &str, uri: &str) -> Zeroizing<String> {
        // Four thousand million requests in one session: the camera will name another nonce.
        self.count = self.count.wrapping_add(1);
        self.challenge.authorization(user, password, method, uri, self.count, &self.cnonce)
    }

    /// Whether `challenge`, which answers the latest request, says that the login is wrong: trying it again
    /// would lock the camera. A nonce that has served is replaced by some cameras without the word `stale`;
    /// one that was refused at its first use will not get better.
    pub fn refused_by(&self, challenge: &Challenge) -> bool {
        match (&self.challenge, challenge, self.count) {
            (_, _, 0) => false,
            (Challenge::Digest(old), Challenge::Digest(new), 2..) => !new.stale && old.nonce == new.nonce,
            (Challenge::Basic | Challenge::Digest(_), Challenge::Basic | Challenge::Digest(_), _) => true,
        }
    }
}

impl Digest {
    fn authorization(
        &self,
        user: &str,
        password: &str,
        method: &str,
        uri: &str,
        count: u32,
        cnonce: &str,
    ) -> Zeroizing<String> {
        let response = self.response(user, password, method, uri, count, cnonce);
        let mut value = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quoted(user),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(uri),
        );
        // Writing to a string does not fail.
        if let Some(algorithm) = &self.spelled {
            let _ = write!(value, ", algorithm={algorithm}");
        }
        if let Some(opaque) = &self.opaque {
            let _ = write!(value, ", opaque={}", quoted(opaque));
        }
        if self.qop {
            let _ = write!(value, ", qop=auth, nc={count:08x}, cnonce={}", quoted(cnonce));
        } else if self.algorithm.session {
            let _ = write!(value, ", cnonce={}", quoted(cnonce));
        }
        Zeroizing::new(value)
    }

    fn response(
        &self,
        user: &str,
        password: &str,
        method: &str,
        uri: &str,
        count: u32,
        cnonce: &str,
    ) -> String {
        let hash = self.algorithm.hash;
        let mut secret = hash.of(&[user, &self.realm, password]);
        if self.algorithm.session {
            secret = hash.of(&[&secret, &self.nonce, cnonce]);
        }
        let request = hash.of(&[method, uri]);
        let response = if self.qop {
            hash.of(&[&secret, &self.nonce, &format!("{count:08x}"), cnonce, "auth", &request])
        } else {
            hash.of(&[&secret, &self.nonce, &request])
        };
        // It goes into the request for all to see.
        response.to_string()
    }
}

impl Hash {
    /// Of the parts with colons between them, in hexadecimal digits.
    fn of(self, parts: &[&str]) -> Zeroizing<String> {
        let text = Zeroizing::new(parts.join(":"));
        Zeroizing::new(match self {
            Self::Md5 => HEXLOWER.encode(&Md5::digest(text.as_bytes())),
            Self::Sha256 => HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref()),
        })
    }
}

/// As a quoted-string.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars().filter(|char| !char.is_control()) {
        if matches!(char, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(char);
    }
    quoted.push('"');
    quoted
}

/// What is left of a header's value.
struct Reader<'a>(&'a str);

/// Names in lower case, and values without their quotes.
type Parameters = Vec<(String, String)>;

impl<'a> Reader<'a> {
    /// All challenges of the header. A comma stands between challenges and between parameters alike: a
    /// word is a parameter's name when `=` follows it, and a scheme otherwise.
    fn challenges(mut self, found: &mut Vec<Challenge>) {
        let mut open: Option<(&'a str, Parameters)> = None;
        loop {
            self.skip(|char| char == ',' || char.is_ascii_whitespace());
            let word = self.word();
            if word.is_empty() {
                // At the end, or before what is no word: the challenge so far is whole in the one case only.
                if self.0.is_empty() {
                    found.extend(open.and_then(|(scheme, parameters)| challenge(scheme, parameters)));
                }
                break;
            }
            self.skip(|char| char.is_ascii_whitespace());
            let parameter = self.0.strip_prefix('=').filter(|_| open.is_some());
            if let Some(rest) = parameter {
                self.0 = rest;
                self.skip(|char| char.is_ascii_whitespace());
                let Some(value) = self.value() else { break };
                if let Some((_, parameters)) = &mut open {
                    parameters.push((word.to_ascii_lowercase(), value));
                    if parameters.len() > PARAMETERS_MAX {
                        break;
                    }
                }
            } else {
                found.extend(open.and_then(|(scheme, parameters)| challenge(scheme, parameters)));
                open = Some((word, Vec::new()));
                self.token68();
            }
            if found.len() >= CHALLENGES_MAX {
                break;
            }
        }
        found.truncate(CHALLENGES_MAX);
    }

    fn skip(&mut self, what: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(what);
    }

    /// A token, perhaps empty.
    fn word(&mut self) -> &'a str {
        let end = self.0.find(|char: char| !is_token(char)).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word
    }

    /// Pass over what other schemes have in the place of parameters (`Negotiate YII=`).
    fn token68(&mut self) {
        let end = self.0.find(|char: char| !is_token(char) && char != '/').unwrap_or(self.0.len());
        let rest = self.0[end..].trim_start_matches('=').trim_start();
        if rest.is_empty() || rest.starts_with(',') {
            self.0 = rest;
        }
    }

    /// A quoted string, or everything up to the next comma or blank: there are cameras that quote nothing.
    fn value(&mut self) -> Option<String> {
        let Some(rest) = self.0.strip_prefix('"') else {
            let end = self.0.find(|char: char| char == ',' || char.is_ascii_whitespace());
            let (value, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
            self.0 = rest;
            return (!value.contains(|char: char| char == '"' || char.is_control()))
                .then(|| value.to_owned());
        };
        let (mut value, mut escaped) = (String::new(), false);
        for (at, char) in rest.char_indices() {
            match char {
                '\\' if !escaped => {
                    escaped = true;
                    continue;
                }
                '"' if !escaped => {
                    self.0 = &rest[at + 1..];
                    return Some(value);
                }
                char if char.is_control() && char != '\t' => return None,
                char => value.push(char),
            }
            escaped = false;
        }
        None
    }
}

fn is_token(char: char) -> bool {
    char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char)
}

/// A challenge, when it is one that can be answered.
fn challenge(scheme: &str, parameters: Parameters) -> Option<Challenge> {
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("digest") {
        return None;
    }
    let (mut realm, mut nonce, mut opaque, mut stale, mut algorithm, mut qop) =
        (None, None, None, None, None, None);
    for (name, value) in parameters {
        let place = match name.as_str() {
            "realm" => &mut realm,
            "nonce" => &mut nonce,
            "opaque" => &mut opaque,
            "stale" => &mut stale,
            "algorithm" => &mut algorithm,
            "qop" => &mut qop,
            _ => continue,
        };
        // Said twice, it means two things.
        if place.replace(value).is_some() {
            return None;
        }
    }
    let offers_auth = |list: &String| list.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"));
    // `auth-int` alone would have the bodies signed, which stream.
    if qop.as_ref().is_some_and(|list| !list.trim().is_empty() && !offers_auth(list)) {
        return None;
    }
    Some(Challenge::Digest(Digest {
        // There are cameras without a realm; both sides sign the empty one then.
        realm: realm.unwrap_or_default(),
        nonce: nonce?,
        opaque,
        stale: stale.is_some_and(|value| value.eq_ignore_ascii_case("true")),
        algorithm: Algorithm::named(algorithm.as_deref())?,
        spelled: algorithm,
        qop: qop.as_ref().is_some_and(offers_auth),
    }))
}

impl Algorithm {
    /// MD5 when none is named. `None`: one that we do not know.
    fn named(name: Option<&str>) -> Option<Self> {
        let name = name.unwrap_or("MD5").to_ascii_lowercase();
        let (hash, session) = match name.strip_suffix("-sess") {
            Some(hash) => (hash, true),
            None => (name.as_str(), false),
        };
        let hash = match hash {
            "md5" => Hash::Md5,
            "sha-256" => Hash::Sha256,
            _ => return None,
        };
        Some(Self { hash, session })
    }
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
