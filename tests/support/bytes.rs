//! Bytes to send: never the same twice in a row, the same in every run, and quick to make.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use ring::digest::{Context, SHA256, digest};

const CHUNK: usize = 1 << 20;

/// A xorshift generator.
pub(crate) struct Noise(u64);

impl Noise {
    /// Different bytes for each seed.
    pub(crate) fn new(seed: u64) -> Self {
        // Zero is the one state it never leaves.
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Fill `buffer`.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        for bytes in buffer.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            bytes.copy_from_slice(&self.0.to_le_bytes()[..bytes.len()]);
        }
    }
}

/// `len` bytes.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    Noise::new(seed).fill(&mut bytes);
    bytes
}

/// A new file of `len` bytes; returns its SHA-256.
pub(crate) fn noise_file(path: &Path, seed: u64, len: u64) -> String {
    let mut file = BufWriter::with_capacity(CHUNK, File::create(path).unwrap());
    let (mut noise, mut hash, mut left) = (Noise::new(seed), Context::new(&SHA256), len);
    let mut buffer = vec![0; CHUNK];
    while left > 0 {
        let chunk = &mut buffer[..CHUNK.min(usize::try_from(left).unwrap_or(CHUNK))];
        noise.fill(chunk);
        hash.update(chunk);
        file.write_all(chunk).unwrap();
        left -= chunk.len() as u64;
    }
    file.flush().unwrap();
    hex(hash.finish().as_ref())
}

/// The SHA-256 of all that comes, and how much that was.
pub(crate) fn sha256(mut from: impl Read) -> io::Result<(String, u64)> {
    let (mut hash, mut total) = (Context::new(&SHA256), 0);
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok((hex(hash.finish().as_ref()), total)),
            count => {
                hash.update(&buffer[..count]);
                total += count as u64;
            }
        }
    }
}

/// The SHA-256 of `bytes`.
pub(crate) fn sha256_of(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
