//! Pseudo-random numbers that are the same in every run, so that two libraries get the same input.

/// The splitmix64 generator.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// An independent sequence for every seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniformly distributed over [-1, 1).
    pub fn signed(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        // An f32 represents 24 bits exactly.
        let bits = (z >> 40) as f32;
        bits / (1 << 23) as f32 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_over_the_interval_and_come_again() {
        let sequence = |seed| {
            let mut random = Random::new(seed);
            (0..1000).map(|_| random.signed()).collect::<Vec<f32>>()
        };
        let numbers = sequence(1);
        assert!(numbers.iter().all(|x| (-1.0..1.0).contains(x)));
        assert!(numbers.iter().any(|x| *x < -0.9) && numbers.iter().any(|x| *x > 0.9));
        assert_eq!(numbers, sequence(1));
        assert_ne!(numbers, sequence(2));
    }
}
