//! How the scripted camera checks who comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use data_encoding::{BASE64, HEXLOWER};
use md5::{Digest as _, Md5};
use ring::digest::{SHA256, digest};

use crate::dialogue::Message;

pub(crate) const USER: &str = "keeper";
pub(crate) const PASSWORD: &str = "blue:Whale 42";
const REALM: &str = "IP Camera(21388)";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Basic,
    Md5,
    /// Without `qop`, as before RFC 2617.
    OldMd5,
    Sha256,
}

/// What a camera asks for.
#[derive(Clone)]
pub(crate) struct Login {
    /// In this order, in one header or in several.
    schemes: Vec<Scheme>,
    one_header: bool,
    /// Requests that one nonce is good for.
    uses: u32,
    /// Whether a nonce is good on other connections than the one it was named on. Here all share the state.
    nonces: Arc<Mutex<Nonces>>,
}

#[derive(Default)]
struct Nonces {
    next: u32,
    /// Uses so far, and the highest count.
    used: HashMap<String, (u32, u32)>,
}

impl Login {
    pub(crate) fn by(schemes: &[Scheme]) -> Self {
        Self { schemes: schemes.to_vec(), one_header: false, uses: u32::MAX, nonces: Arc::default() }
    }

    pub(crate) fn in_one_header(mut self) -> Self {
        self.one_header = true;
        self
    }

    /// Each nonce is stale after so many requests.
    pub(crate) fn stale_after(mut self, uses: u32) -> Self {
        self.uses = uses;
        self
    }

    /// An error is the challenges to send.
    pub(crate) fn check(&self, request: &Message) -> Result<(), Vec<String>> {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = match request.get("Authorization") {
            None => false,
            Some(sent) => match self.judge(sent, request, &mut nonces) {
                Ok(()) => return Ok(()),
                Err(stale) => stale,
            },
        };
        nonces.next += 1;
        let nonce = format!("nonce-{:04}==", nonces.next);
        nonces.used.insert(nonce.clone(), (0, 0));
        let stale = if stale { ", stale=TRUE" } else { "" };
        let challenge = |scheme: &Scheme| match scheme {
            Scheme::Basic => format!("Basic realm=\"{REALM}\""),
            Scheme::OldMd5 => format!("Digest realm=\"{REALM}\",nonce=\"{nonce}\"{stale}"),
            Scheme::Md5 => format!(
                "Digest realm=\"{REALM}\", nonce=\"{nonce}\", qop=\"auth\", opaque=\"o, \\\"p\\\"\"{stale}"
            ),
            Scheme::Sha256 => {
                format!(
                    "Digest realm=\"{REALM}\", nonce=\"{nonce}\", algorithm=SHA-256, qop=\"auth,auth-int\"{stale}"
                )
            }
        };
        let challenges: Vec<String> = self.schemes.iter().map(challenge).collect();
        Err(if self.one_header { vec![challenges.join(", ")] } else { challenges })
    }

    /// An error says whether the login is right and its nonce is old.
    fn judge(&self, sent: &str, request: &Message, nonces: &mut Nonces) -> Result<(), bool> {
        if let Some(pair) = sent.strip_prefix("Basic ") {
            let expected = BASE64.encode(format!("{USER}:{PASSWORD}").as_bytes());
            return if self.schemes.contains(&Scheme::Basic) && pair == expected {
                Ok(())
            } else {
                Err(false)
            };
        }
        let fields = fields(sent.strip_prefix("Digest ").ok_or(false)?);
        let get = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let scheme = match (get("algorithm"), get("qop")) {
            ("SHA-256", "auth") => Scheme::Sha256,
            ("" | "MD5", "auth") => Scheme::Md5,
            ("" | "MD5", "") => Scheme::OldMd5,
            _ => return Err(false),
        };
        let hash = |text: String| match scheme {
            Scheme::Sha256 => HEXLOWER.encode(digest(&SHA256, text.as_bytes()).as_ref()),
            Scheme::Basic | Scheme::Md5 | Scheme::OldMd5 => HEXLOWER.encode(&Md5::digest(text.as_bytes())),
        };
        let secret = hash(format!("{USER}:{REALM}:{PASSWORD}"));
        let asked = hash(format!("{}:{}", request.method(), get("uri")));
        let (nonce, count) = (get("nonce"), get("nc"));
        let expected = match scheme {
            Scheme::OldMd5 => hash(format!("{secret}:{nonce}:{asked}")),
            Scheme::Basic | Scheme::Md5 | Scheme::Sha256 => {
                hash(format!("{secret}:{nonce}:{count}:{}:auth:{asked}", get("cnonce")))
            }
        };
        // The URI that is signed is the one asked for, or its base.
        let meant =
            request.uri() == get("uri") || request.uri().starts_with(get("uri").trim_end_matches('/'));
        if !self.schemes.contains(&scheme) || get("response") != expected || get("username") != USER || !meant
        {
            return Err(false);
        }
        let Some((used, highest)) = nonces.used.get_mut(nonce) else { return Err(true) };
        let count = u32::from_str_radix(count, 16).unwrap_or(0);
        let counted = scheme == Scheme::OldMd5 || count > *highest;
        if *used >= self.uses || !counted {
            return Err(true);
        }
        (*used, *highest) = (*used + 1, count);
        Ok(())
    }
}

/// `name="value", name=value`
pub(crate) fn fields(mut rest: &str) -> HashMap<String, String> {
    let mut fields = HashMap::new();
    while let Some((name, value)) = rest.split_once('=') {
        let name = name.trim_start_matches([',', ' ']).to_owned();
        if let Some(quoted) = value.strip_prefix('"') {
            let mut end = 0;
            let (mut text, mut escaped) = (String::new(), false);
            for (at, char) in quoted.char_indices() {
                end = at;
                match char {
                    '\\' if !escaped => {
                        escaped = true;
                        continue;
                    }
                    '"' if !escaped => break,
                    _ => text.push(char),
                }
                escaped = false;
            }
            fields.insert(name, text);
            rest = &quoted[end + 1..];
        } else {
            let (value, after) = value.split_once(',').unwrap_or((value, ""));
            fields.insert(name, value.to_owned());
            rest = after;
        }
    }
    fields
}
