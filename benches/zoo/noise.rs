//! Noise features of simulated agents.

use parallax::design::randomise::{self, Generator};

/// Kinds of noise, all independent of the environment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Noise {
    Constant,
    /// A flip with this per mille.
    Flip(usize),
    /// Flips and stays so for a while.
    Sticky,
    /// Moves with the run number.
    Drift,
    /// Cycles with the run number.
    Cycle(u32),
    /// Changes once, somewhere in the run.
    Midnight(u32),
    /// Never the same twice.
    Unique,
    /// One of a few at random.
    Few(usize),
}

/// The state of one noise feature.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    noise: Noise,
    held: u32,
}

impl Source {
    pub(crate) fn new(noise: Noise) -> Self {
        Self { noise, held: 0 }
    }

    pub(crate) fn next(&mut self, run: u32, chance: &mut Generator) -> u32 {
        match self.noise {
            Noise::Constant => 0,
            Noise::Flip(per_mille) => u32::from(randomise::below(1000, chance) < per_mille),
            Noise::Sticky => {
                if randomise::below(12, chance) == 0 {
                    self.held ^= 1;
                }
                self.held
            }
            Noise::Drift => run / 23,
            Noise::Cycle(period) => run % period,
            Noise::Midnight(at) => u32::from(run >= at),
            Noise::Unique => run + 1_000_000 + u32::try_from(randomise::below(1_000_000, chance)).unwrap_or(0),
            Noise::Few(count) => u32::try_from(randomise::below(count, chance)).unwrap_or(0),
        }
    }
}

/// The everyday noise of an agent: 22 features.
pub(crate) fn everyday() -> Vec<Source> {
    let mut all = vec![Noise::Unique; 6];
    all.extend([Noise::Constant; 8]);
    all.extend([Noise::Flip(20), Noise::Flip(100), Noise::Flip(500), Noise::Few(3), Noise::Few(24)]);
    all.extend([Noise::Drift, Noise::Midnight(60), Noise::Cycle(7)]);
    all.into_iter().map(Source::new).collect()
}

/// 60 nasty noise features.
pub(crate) fn nasty() -> Vec<Source> {
    let mut all = Vec::new();
    for n in 0..10_u32 {
        all.push(Noise::Flip(10 + 30 * n as usize));
        all.push(Noise::Sticky);
        all.push(Noise::Cycle(2 + n));
        all.push(Noise::Midnight(10 + 9 * n));
        all.push(if n % 2 == 0 { Noise::Drift } else { Noise::Unique });
        all.push(Noise::Few(2 + n as usize));
    }
    all.into_iter().map(Source::new).collect()
}
