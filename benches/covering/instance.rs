//! The arrays that are built.

/// One array to build, with what others need for it.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) name: &'static str,
    pub(crate) levels: Vec<u16>,
    pub(crate) strength: usize,
    /// Single changes to evaluate.
    pub(crate) changes: usize,
    /// Rows that PICT needs, and the best published; 0 where no figure is quoted.
    pub(crate) pict: usize,
    pub(crate) best: usize,
}

const MILLION: usize = 1_000_000;

pub(crate) fn all() -> Vec<Instance> {
    let of = |parts: &[(u16, usize)]| parts.iter().flat_map(|(v, n)| vec![*v; *n]).collect::<Vec<u16>>();
    let mixed = of(&[(4, 15), (3, 17), (2, 29)]);
    let broad = of(&[(12, 1), (10, 1), (6, 1), (4, 5), (3, 4), (2, 8)]);
    let instance = |name, levels: &[u16], strength, changes, pict, best| Instance {
        name,
        levels: levels.to_vec(),
        strength,
        changes: changes * MILLION,
        pict,
        best,
    };
    vec![
        instance("3^13", &of(&[(3, 13)]), 2, 100, 19, 15),
        instance("4^15 3^17 2^29", &mixed, 2, 100, 38, 29),
        instance("4^1 3^39 2^35", &of(&[(4, 1), (3, 39), (2, 35)]), 2, 100, 28, 21),
        instance("2^100", &of(&[(2, 100)]), 2, 20, 16, 10),
        instance("10^20", &of(&[(10, 20)]), 2, 1000, 213, 180),
        instance("12·10·6·4^5·3^4·2^8", &broad, 2, 20, 120, 0),
        instance("12·10·6·4^5·3^4·2^8", &broad, 3, 20, 725, 0),
        instance("4^15 3^17 2^29", &mixed, 3, 4, 217, 0),
        instance("2^100", &of(&[(2, 100)]), 3, 2, 48, 0),
        instance("4^10", &of(&[(4, 10)]), 3, 100, 156, 0),
        instance("5^6", &of(&[(5, 6)]), 3, 100, 217, 125),
        instance("10^6", &of(&[(10, 6)]), 3, 100, 1624, 0),
    ]
}
