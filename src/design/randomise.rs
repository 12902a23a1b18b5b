//! **Randomisation**: every random choice of a run comes from its seed, through a generator named by its purpose, so that
//! one more draw in one place moves nothing elsewhere.

use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use sha2::Digest as _;

/// The generator of a run (`ChaCha12`, whose stream is the same on every platform and version).
pub type Generator = ChaCha12Rng;

/// The generator for one purpose.
#[must_use]
pub fn generator(seed: u64, purpose: &str) -> Generator {
    let mut digest = sha2::Sha256::new();
    digest.update(seed.to_le_bytes());
    digest.update(purpose.as_bytes());
    ChaCha12Rng::from_seed(digest.finalize().into())
}

/// A uniform shuffle.
pub fn shuffle<T>(items: &mut [T], generator: &mut Generator) {
    items.shuffle(generator);
}

/// Uniformly chosen items, `count` of them, in no particular order; the items are left in another order.
pub fn choose<'a, T>(items: &'a mut [T], count: usize, generator: &mut Generator) -> &'a [T] {
    items.partial_shuffle(generator, count).0
}

/// A uniform draw from `0..bound`; 0 where `bound` is 0.
pub fn below(bound: usize, generator: &mut Generator) -> usize {
    if bound == 0 { 0 } else { generator.random_range(0..bound) }
}

/// A fair coin.
pub fn coin(generator: &mut Generator) -> bool {
    generator.random_bool(0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_purpose_give_the_same_stream_and_others_do_not() {
        let draw = |seed, purpose| (0..8).map(|_| below(1000, &mut generator(seed, purpose))).collect::<Vec<_>>();
        let stream = |seed, purpose| {
            let mut generator = generator(seed, purpose);
            (0..8).map(|_| below(1000, &mut generator)).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_eq!(stream(7, "coins"), stream(7, "coins"));
        assert_ne!(stream(7, "coins"), stream(8, "coins"));
        assert_ne!(stream(7, "coins"), stream(7, "order"));
    }
}
