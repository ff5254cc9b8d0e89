//! The numbers a connection is closed with and a stream is reset with. Never reused.

use core::fmt;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal, $text:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)+ }

        impl $name {
            /// The number on the wire.
            pub fn number(self) -> u32 {
                match self { $(Self::$variant => $number,)+ }
            }

            /// The code of a number; `None` for one that a later version may have added.
            pub fn from_number(number: u64) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)+ _ => None }
            }

            /// The word for people and `--json`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

codes! {
    /// Why a connection was closed by its other end.
    Close {
        /// Nothing is wrong: the node goes or no longer needs the connection.
        Done = 0, "done";
        /// The session key is no node of this network.
        NotAMember = 1, "not-a-member";
        /// The node was removed from this network.
        Revoked = 2, "revoked";
        /// The other end is in another network.
        WrongNetwork = 3, "wrong-network";
        /// The versions, or the ledger's newest ops, do not fit.
        UpdateNeeded = 4, "update-needed";
        /// The two ledgers contradict each other.
        LedgerFork = 5, "ledger-fork";
        /// A message that the protocol does not allow.
        Protocol = 6, "protocol-error";
        /// Too many connections or streams.
        Busy = 7, "busy";
        /// The greeting took too long.
        TooSlow = 8, "too-slow";
    }
}

codes! {
    /// Why a stream was reset, or an open refused.
    Reset {
        /// The application at the other end closed without saying why.
        Closed = 0, "closed";
        /// The resource is absent or not granted: the two look alike.
        NotPermitted = 1, "not-permitted";
        /// The target does not answer.
        Unreachable = 2, "target-unreachable";
        /// The target, or the local application, reset its connection.
        PeerReset = 3, "connection-reset";
        /// The right to use the resource ended.
        Revoked = 4, "revoked";
        /// The exporter's limit of clients is reached.
        MaxClients = 5, "max-clients";
        /// The node goes down.
        GoingAway = 6, "going-away";
        /// A message that the protocol does not allow.
        Protocol = 7, "protocol-error";
        /// This version does not forward this kind.
        Unsupported = 8, "unsupported";
        /// Nobody has read it for long, and others needed the room.
        Unread = 9, "unread";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_parse_back_and_unknown_ones_do_not() {
        for number in 0..=8 {
            assert_eq!(Close::from_number(number).map(|c| u64::from(c.number())), Some(number));
        }
        for number in 0..=9 {
            assert_eq!(Reset::from_number(number).map(|c| u64::from(c.number())), Some(number));
        }
        assert_eq!((Close::from_number(9), Reset::from_number(u64::MAX)), (None, None));
    }
}
