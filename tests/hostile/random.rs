//! Chance that can be repeated: run again with the printed seed in [`SEED`].

/// The variable that has the seed.
const SEED: &str = "COCO_TEST_SEED";

/// A SplitMix64 generator.
pub(crate) struct Random(u64);

impl Random {
    /// From the seed in the environment, or from a new one, which is printed.
    pub(crate) fn from_environment() -> Self {
        let fresh = || {
            let mut seed = [0; 8];
            getrandom::fill(&mut seed).unwrap();
            u64::from_le_bytes(seed)
        };
        let seed = std::env::var(SEED).map_or_else(|_| fresh(), |seed| seed.parse().unwrap());
        println!("{SEED}={seed}");
        Self(seed)
    }

    /// Another generator, for another thread.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// With that probability.
    pub(crate) fn chance(&mut self, share: f64) -> bool {
        let drawn = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        drawn < share
    }

    pub(crate) fn fill(&mut self, buffer: &mut [u8]) {
        for bytes in buffer.chunks_mut(8) {
            bytes.copy_from_slice(&self.next().to_le_bytes()[..bytes.len()]);
        }
    }
}
