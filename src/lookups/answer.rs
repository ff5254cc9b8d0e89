//! The answers, as the system gives them. Each may take as long as a name server does.

use std::net::ToSocketAddrs;

use super::{ADDRESSES_MAX, Answer, Question};
use crate::access;

pub(super) fn answer(question: &Question) -> Answer {
    match question {
        Question::Host { host, port } => match (host.as_str(), *port).to_socket_addrs() {
            Ok(addresses) => Answer::Addresses(addresses.take(ADDRESSES_MAX).collect()),
            Err(error) => Answer::Failed(error.to_string()),
        },
        Question::User { uid, rules } => Answer::Fits(rules.fit_user(*uid)),
        Question::Holders { inode, rules } => Answer::Fits(access::holders_fit(*inode, rules)),
    }
}
