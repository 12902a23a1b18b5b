//! The kinds of marker.

/// A kind of simulated agent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Needs more than two factors together, or chance plays a part.
    pub(crate) hard: bool,
    pub(crate) shape: Shape,
}

impl Kind {
    /// No marker at all.
    pub(crate) fn clean(&self) -> bool {
        matches!(self.shape, Shape::Clean | Shape::CleanNasty)
    }

    /// Some two factors' levels together, which a strength-2 array has, are enough to show it.
    pub(crate) fn two_way(&self) -> bool {
        !matches!(self.shape, Shape::And3Narrow)
    }

    /// The same levels always give the same value: chance plays no part in the marker.
    pub(crate) fn deterministic(&self) -> bool {
        !matches!(self.shape, Shape::Probabilistic(_) | Shape::NoisyMain(_) | Shape::NoisyAnd(_) | Shape::Perturbation)
    }
}

/// What the marker is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Main,
    Set,
    FourValued,
    AndNarrow,
    AndWide,
    AndSets,
    And3Narrow,
    And3Wide,
    Xor2,
    Xor3,
    Nested,
    Or,
    AndOrAnd,
    And4Wide,
    Probabilistic(usize),
    NoisyMain(usize),
    NoisyAnd(usize),
    Disappear,
    Concatenation,
    BaselineInside,
    TwoSharing,
    Perturbation,
    Echo,
    AndFourValued,
    Gate,
    OneOfMany,
    Appear,
    AppearTwice,
    OtherForm,
    AndDisappear,
    AndNot,
    Majority,
    TwoApart,
    Clean,
    CleanNasty,
}

const fn kind(name: &'static str, hard: bool, shape: Shape) -> Kind {
    Kind { name, hard, shape }
}

/// All kinds.
pub(crate) const ALL: &[Kind] = &[
    kind("main", false, Shape::Main),
    kind("level set", false, Shape::Set),
    kind("one level of many", false, Shape::OneOfMany),
    kind("four-valued", false, Shape::FourValued),
    kind("echo", false, Shape::Echo),
    kind("and2 narrow", false, Shape::AndNarrow),
    kind("and2 wide", false, Shape::AndWide),
    kind("and2 sets", false, Shape::AndSets),
    kind("and2 four-valued", false, Shape::AndFourValued),
    kind("and3 narrow", true, Shape::And3Narrow),
    kind("and3 wide", true, Shape::And3Wide),
    kind("and4 wide", true, Shape::And4Wide),
    kind("xor2", false, Shape::Xor2),
    kind("xor3", true, Shape::Xor3),
    kind("nested gates", true, Shape::Nested),
    kind("gate", false, Shape::Gate),
    kind("or", false, Shape::Or),
    kind("(a and b) or (c and d)", true, Shape::AndOrAnd),
    kind("probabilistic .8", true, Shape::Probabilistic(800)),
    kind("probabilistic .5", true, Shape::Probabilistic(500)),
    kind("probabilistic .3", true, Shape::Probabilistic(300)),
    kind("main, 10 % noise", true, Shape::NoisyMain(100)),
    kind("and2, 10 % noise", true, Shape::NoisyAnd(100)),
    kind("appears", false, Shape::Appear),
    kind("appears in two places", false, Shape::AppearTwice),
    kind("shape changes", false, Shape::OtherForm),
    kind("and2 disappears", false, Shape::AndDisappear),
    kind("a and not b", false, Shape::AndNot),
    kind("majority of three", true, Shape::Majority),
    kind("two apart", false, Shape::TwoApart),
    kind("disappears", false, Shape::Disappear),
    kind("concatenation", false, Shape::Concatenation),
    kind("baseline inside", false, Shape::BaselineInside),
    kind("two sharing a factor", false, Shape::TwoSharing),
    kind("small perturbation", true, Shape::Perturbation),
    kind("clean", false, Shape::Clean),
    kind("clean, nasty", false, Shape::CleanNasty),
];
