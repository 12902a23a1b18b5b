//! A simulated agent: marker features whose dependence is known, beside noise.

#![allow(clippy::many_single_char_names, reason = "a, b, c, d are the factors of a truth table")]

use parallax::attribution::evidence::Value;
use parallax::design::randomise::{self, Generator};
use parallax::feature::ValueId;

use super::kinds::{Kind, Shape};
use super::noise::{self, Noise, Source};

/// A truth table.
type Truth = Box<dyn Fn(&[u16]) -> Value + Send + Sync>;

/// A marker: the value as a function of the levels, with the factors that it depends on.
pub(crate) struct Marker {
    pub(crate) factors: Vec<usize>,
    pub(crate) truth: Truth,
    /// Per mille of runs in the trigger that show it.
    rate: usize,
    /// Per mille of runs that show another value.
    noise: usize,
}

/// An agent.
pub(crate) struct Agent {
    pub(crate) markers: Vec<Marker>,
    noises: Vec<Source>,
    chance: Generator,
    run: u32,
}

#[allow(clippy::unnecessary_wraps, reason = "values are optional: absent is one")]
fn id(number: u16) -> Value {
    Some(ValueId(u32::from(number)))
}

impl Agent {
    pub(crate) fn new(levels: &[u16], kind: Kind, seed: u64) -> Self {
        let mut draw = randomise::generator(seed, kind.name);
        let mut order: Vec<usize> = (0..levels.len()).collect();
        randomise::shuffle(&mut order, &mut draw);
        let f: Vec<usize> = order;
        let sizes: Vec<u16> = levels.to_vec();
        // A level of a factor that is not its baseline.
        let level = |factor: usize, draw: &mut Generator| {
            1 + u16::try_from(randomise::below(usize::from(sizes[factor]) - 1, draw)).unwrap_or(0)
        };
        let (a, b, c, d) = (f[0], f[1], f[2 % f.len()], f[3 % f.len()]);
        let (la, lb, lc, ld) = (level(a, &mut draw), level(b, &mut draw), level(c, &mut draw), level(d, &mut draw));
        // A proper set of levels without the baseline, about half of them.
        let half = |factor: usize, first: u16| -> Vec<u16> {
            let n = sizes_of(levels, factor);
            (0..n.div_ceil(2).min(n - 1)).map(|step| 1 + (first - 1 + step) % (n - 1)).collect()
        };
        let (sa, sb, sc, sd) = (half(a, la), half(b, lb), half(c, lc), half(d, ld));
        let wide = |l: u16| l != 0;
        let mut rate = 1000;
        let mut noise_rate = 0;
        let mut extra: Vec<Source> = Vec::new();
        let one = move |when: bool| id(u16::from(when));
        let mut markers: Vec<(Vec<usize>, Truth)> = Vec::new();
        match kind.shape {
            Shape::Main => markers.push((vec![a], Box::new(move |l| one(l[a] == la)))),
            Shape::Set => markers.push((vec![a], Box::new(move |l| one(sa.contains(&l[a]))))),
            Shape::OneOfMany => markers.push((vec![0], Box::new(move |l| one(l[0] == 5)))),
            Shape::FourValued => markers.push((vec![a], Box::new(move |l| id(l[a] % 4)))),
            Shape::Echo => markers.push((vec![a], Box::new(move |l| id(l[a])))),
            Shape::AndNarrow => markers.push((vec![a, b], Box::new(move |l| one(l[a] == la && l[b] == lb)))),
            Shape::AndWide => markers.push((vec![a, b], Box::new(move |l| one(wide(l[a]) && wide(l[b]))))),
            Shape::AndSets => {
                markers.push((vec![a, b], Box::new(move |l| one(sa.contains(&l[a]) && sb.contains(&l[b])))));
            }
            Shape::AndFourValued => {
                markers.push((vec![a, b], Box::new(move |l| if wide(l[b]) { id(l[a] % 4) } else { id(0) })));
            }
            Shape::And3Narrow => {
                markers.push((vec![a, b, c], Box::new(move |l| one(l[a] == la && l[b] == lb && l[c] == lc))));
            }
            Shape::And3Wide => {
                markers.push((vec![a, b, c], Box::new(move |l| one(wide(l[a]) && wide(l[b]) && wide(l[c])))));
            }
            Shape::And4Wide => markers
                .push((vec![a, b, c, d], Box::new(move |l| one(wide(l[a]) && wide(l[b]) && wide(l[c]) && wide(l[d]))))),
            Shape::Xor2 => {
                markers.push((vec![a, b], Box::new(move |l| one(sa.contains(&l[a]) != sb.contains(&l[b])))));
            }
            Shape::Xor3 => markers.push((
                vec![a, b, c],
                Box::new(move |l| one(sa.contains(&l[a]) ^ sb.contains(&l[b]) ^ sc.contains(&l[c]))),
            )),
            Shape::Nested => markers.push((
                vec![a, b, c],
                Box::new(move |l| {
                    if !wide(l[a]) {
                        id(0)
                    } else if sb.contains(&l[b]) {
                        id(1)
                    } else {
                        id(2 * u16::from(sc.contains(&l[c])))
                    }
                }),
            )),
            Shape::Gate => markers.push((
                vec![a, b],
                Box::new(move |l| if wide(l[a]) { id(1 + u16::from(sb.contains(&l[b]))) } else { id(0) }),
            )),
            Shape::Or => markers.push((vec![a, b], Box::new(move |l| one(l[a] == la || l[b] == lb)))),
            Shape::AndOrAnd => markers.push((
                vec![a, b, c, d],
                Box::new(move |l| {
                    one(sa.contains(&l[a]) && sb.contains(&l[b]) || sc.contains(&l[c]) && sd.contains(&l[d]))
                }),
            )),
            Shape::Probabilistic(per_mille) => {
                rate = per_mille;
                markers.push((vec![a], Box::new(move |l| one(sa.contains(&l[a])))));
            }
            Shape::NoisyMain(per_mille) => {
                noise_rate = per_mille;
                markers.push((vec![a], Box::new(move |l| one(sa.contains(&l[a])))));
            }
            Shape::NoisyAnd(per_mille) => {
                noise_rate = per_mille;
                markers.push((vec![a, b], Box::new(move |l| one(wide(l[a]) && wide(l[b])))));
            }
            Shape::Disappear => {
                markers.push((vec![a], Box::new(move |l| if l[a] == la { None } else { id(3) })));
            }
            Shape::Appear => {
                markers.push((vec![a], Box::new(move |l| if l[a] == la { id(3) } else { None })));
            }
            Shape::AppearTwice => {
                markers.push((vec![a], Box::new(move |l| if l[a] == la { id(3) } else { None })));
                markers.push((vec![a], Box::new(move |l| if l[a] == la { id(7) } else { id(4) })));
            }
            Shape::OtherForm => {
                extra.push(Source::new(Noise::Unique));
                markers.push((vec![a], Box::new(move |l| id(4 + u16::from(sa.contains(&l[a]))))));
            }
            Shape::AndDisappear => {
                markers.push((vec![a, b], Box::new(move |l| if wide(l[a]) && wide(l[b]) { None } else { id(3) })));
            }
            Shape::AndNot => {
                markers.push((vec![a, b], Box::new(move |l| one(sa.contains(&l[a]) && !sb.contains(&l[b])))));
            }
            Shape::Majority => markers.push((
                vec![a, b, c],
                Box::new(move |l| {
                    let votes = [sa.contains(&l[a]), sb.contains(&l[b]), sc.contains(&l[c])];
                    one(votes.into_iter().filter(|vote| *vote).count() >= 2)
                }),
            )),
            Shape::TwoApart => {
                markers.push((vec![a, b], Box::new(move |l| one(wide(l[a]) && wide(l[b])))));
                markers.push((vec![c], Box::new(move |l| one(l[c] == lc))));
            }
            Shape::Concatenation => markers.push((vec![a, b], Box::new(move |l| id(10 * l[a] + l[b])))),
            Shape::BaselineInside => markers.push((vec![a, b], Box::new(move |l| one(!(l[a] == la || l[b] == lb))))),
            Shape::TwoSharing => {
                markers.push((vec![a, b], Box::new(move |l| one(l[a] == la && wide(l[b])))));
                markers.push((vec![a], Box::new(move |l| one(sa.contains(&l[a])))));
            }
            Shape::Perturbation => {
                noise_rate = 20;
                markers.push((vec![a], Box::new(move |l| one(l[a] == la))));
            }
            Shape::Clean | Shape::CleanNasty => {}
        }
        let mut noises = if matches!(kind.shape, Shape::CleanNasty) { noise::nasty() } else { noise::everyday() };
        // The raw value whose shape is the marker: never the same twice.
        noises.extend(extra);
        // Noise of its own for every agent: kinds that shared it would share their false hypotheses too.
        let chance = randomise::generator(seed, &format!("agent {} {}", kind.name, levels.len()));
        let markers =
            markers.into_iter().map(|(factors, truth)| Marker { factors, truth, rate, noise: noise_rate }).collect();
        Self { markers, noises, chance, run: 0 }
    }

    /// The same agent without noise.
    pub(crate) fn quiet(levels: &[u16], kind: Kind, seed: u64) -> Self {
        Self { noises: Vec::new(), ..Self::new(levels, kind, seed) }
    }

    /// One run.
    pub(crate) fn row(&mut self, levels: &[u16]) -> Vec<Value> {
        self.run += 1;
        let base = vec![0; levels.len()];
        let mut row = Vec::new();
        for marker in &self.markers {
            let mut value = (marker.truth)(levels);
            if randomise::below(1000, &mut self.chance) >= marker.rate {
                value = (marker.truth)(&base);
            }
            if randomise::below(1000, &mut self.chance) < marker.noise {
                value = if value == id(0) { id(1) } else { id(0) };
            }
            row.push(value);
        }
        let run = self.run;
        let chance = &mut self.chance;
        row.extend(self.noises.iter_mut().map(|noise| Some(ValueId(noise.next(run, chance)))));
        row
    }
}

fn sizes_of(levels: &[u16], factor: usize) -> u16 {
    levels[factor]
}
