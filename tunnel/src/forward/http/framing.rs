//! Bodies: how one ends, and which bytes belong to it.
//!
//! Nothing is held back or changed: [`Body::take`] only says how many of the bytes at hand are the body's.

use super::chunked::Chunked;
use super::refusal::Refusal;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Empty,
    /// After so many bytes.
    Length(u64),
    /// With the last chunk and its trailers.
    Chunked,
    /// With the connection; responses only.
    UntilClose,
}

/// A body that is on its way.
#[derive(Debug)]
pub struct Body(Way);

#[derive(Debug)]
enum Way {
    Counted(u64),
    Chunked(Chunked),
    UntilClose,
}

impl Body {
    /// None of it has come yet.
    pub fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Empty => Way::Counted(0),
            Framing::Length(length) => Way::Counted(length),
            Framing::Chunked => Way::Chunked(Chunked::default()),
            Framing::UntilClose => Way::UntilClose,
        })
    }

    /// How many of `bytes`, from their beginning, belong to it.
    pub fn take(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        match &mut self.0 {
            Way::Counted(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= taken as u64;
                Ok(taken)
            }
            Way::Chunked(chunked) => chunked.take(bytes),
            Way::UntilClose => Ok(bytes.len()),
        }
    }

    /// Whether all of it has come.
    pub fn is_done(&self) -> bool {
        match &self.0 {
            Way::Counted(left) => *left == 0,
            Way::Chunked(chunked) => chunked.is_done(),
            Way::UntilClose => false,
        }
    }

    /// Whether it may end with the connection.
    pub fn may_end(&self) -> bool {
        self.is_done() || matches!(self.0, Way::UntilClose)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_body_takes_its_bytes_and_not_the_next_request() {
        let mut body = Body::new(Framing::Length(5));
        assert_eq!((body.take(b"abc"), body.is_done()), (Ok(3), false));
        assert_eq!((body.take(b"deGET /"), body.is_done()), (Ok(2), true));
        assert_eq!(body.take(b"GET /"), Ok(0));
        assert!(Body::new(Framing::Empty).is_done() && Body::new(Framing::Length(0)).is_done());
    }

    #[test]
    fn a_body_that_ends_with_the_connection_takes_all() {
        let mut body = Body::new(Framing::UntilClose);
        assert_eq!((body.take(b"anything"), body.is_done(), body.may_end()), (Ok(8), false, true));
        assert!(!Body::new(Framing::Length(1)).may_end() && !Body::new(Framing::Chunked).may_end());
    }
}
