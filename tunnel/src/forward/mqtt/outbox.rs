//! What is to be written to one side: bytes that pass, and answers of our own between them.
//!
//! Small pieces are put together, so that a burst of small packets is one write and does not keep the large
//! buffers alive that it came in; large ones are passed on as they are.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

/// Pieces up to this length are copied.
const COPIED: usize = 2048;

/// Bytes towards one side.
#[derive(Debug, Default)]
pub struct Outbox {
    parts: VecDeque<Part>,
    /// Small pieces, behind the parts.
    tail: BytesMut,
    /// How many of the tail's bytes are answers of our own.
    tail_own: usize,
    len: usize,
    own: usize,
}

#[derive(Debug)]
struct Part {
    bytes: Bytes,
    /// How many of its bytes, at most, are answers of our own.
    own: usize,
}

impl Outbox {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none do.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that pass.
    pub(super) fn pass(&mut self, bytes: Bytes) {
        self.push(bytes, false);
    }

    /// An answer of our own.
    pub(super) fn answer(&mut self, bytes: Bytes) {
        self.own += bytes.len();
        self.push(bytes, true);
    }

    /// Bytes of answers of our own that wait, those included that stand in one part with them.
    pub(super) fn own(&self) -> usize {
        self.own
    }

    /// Put the next parts into `into`; returns how many there are.
    pub fn peek(&mut self, into: &mut [Bytes]) -> usize {
        self.close_tail();
        let count = into.len().min(self.parts.len());
        for (slot, part) in into.iter_mut().zip(&self.parts) {
            *slot = part.bytes.clone();
        }
        count
    }

    /// So many bytes have been written.
    pub fn wrote(&mut self, mut count: usize) {
        self.len -= count;
        while count > 0 {
            let Some(part) = self.parts.front_mut() else { return };
            let taken = count.min(part.bytes.len());
            part.bytes.advance(taken);
            count -= taken;
            if part.bytes.is_empty() {
                self.own -= part.own;
                self.parts.pop_front();
            }
        }
    }

    fn push(&mut self, bytes: Bytes, own: bool) {
        self.len += bytes.len();
        if bytes.len() <= COPIED {
            self.tail.extend_from_slice(&bytes);
            self.tail_own += if own { bytes.len() } else { 0 };
        } else {
            self.close_tail();
            let own = if own { bytes.len() } else { 0 };
            self.parts.push_back(Part { bytes, own });
        }
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            let own = std::mem::take(&mut self.tail_own);
            self.parts.push_back(Part { bytes: self.tail.split().freeze(), own });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_in_order() {
        let mut outbox = Outbox::default();
        let large = Bytes::from(vec![7; COPIED + 1]);
        outbox.pass(Bytes::from_static(b"one"));
        outbox.answer(Bytes::from_static(b"two"));
        outbox.pass(large.clone());
        outbox.pass(Bytes::from_static(b"three"));
        assert_eq!((outbox.len(), outbox.own()), (COPIED + 12, 3));
        let mut got = Vec::new();
        while !outbox.is_empty() {
            let mut parts = [Bytes::new(), Bytes::new(), Bytes::new(), Bytes::new()];
            let count = outbox.peek(&mut parts);
            assert_eq!(count, parts.iter().filter(|part| !part.is_empty()).count());
            // Writers take what they like.
            let taken = parts[0].len().min(5);
            got.extend_from_slice(&parts[0][..taken]);
            outbox.wrote(taken);
        }
        assert_eq!(got, [b"onetwo", &large[..], b"three"].concat());
        assert_eq!((outbox.len(), outbox.own()), (0, 0));
    }

    #[test]
    fn a_large_piece_is_not_copied() {
        let mut outbox = Outbox::default();
        let large = Bytes::from(vec![7; COPIED + 1]);
        outbox.pass(large.clone());
        let mut parts = [Bytes::new()];
        assert_eq!(outbox.peek(&mut parts), 1);
        assert_eq!(parts[0].as_ptr(), large.as_ptr());
    }
}
