//! What the table of covering arrays (`results/covering.md`) says of the sizes that were promised.

/// Where the method's prototype reached the best published size: there it must be reached.
const REACHED: [(&str, &str); 4] = [("3^13", "2"), ("4^15 3^17 2^29", "2"), ("4^1 3^39 2^35", "2"), ("2^100", "2")];

/// How the arrays of a table compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Arrays for which a figure of PICT is quoted, and those of them with no more rows.
    pub(crate) pict: usize,
    pub(crate) within_pict: usize,
    /// The same for the best published …
    pub(crate) best: usize,
    pub(crate) within_best: usize,
    /// … and where that was promised.
    pub(crate) promised: usize,
}

impl Sizes {
    /// Reads the table. `None` where it has not the columns that are asked for, or no line.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let cells = |line: &str| -> Vec<String> {
            line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
        };
        let mut lines = text.lines().filter(|line| line.starts_with('|'));
        let head = cells(lines.next()?);
        let column = |name: &str| head.iter().position(|cell| cell == name);
        let (name, strength, rows) = (column("levels^factors")?, column("t")?, column("rows")?);
        let (pict, best) = (column("PICT, quoted")?, column("best published, quoted")?);
        let mut sizes = Self::default();
        for line in lines.skip(1).map(cells) {
            let number = |column: usize| line.get(column).and_then(|cell| cell.parse::<usize>().ok());
            let rows = number(rows)?;
            if let Some(pict) = number(pict) {
                sizes.pict += 1;
                sizes.within_pict += usize::from(rows <= pict);
            }
            if let Some(best) = number(best) {
                sizes.best += 1;
                sizes.within_best += usize::from(rows <= best);
                let is_promised = REACHED.contains(&(line[name].as_str(), line[strength].as_str()));
                sizes.promised += usize::from(is_promised && rows <= best);
            }
        }
        (sizes.pict > 0).then_some(sizes)
    }

    /// Never more rows than PICT, and the best published or better where the method's prototype reached it.
    pub(crate) fn kept(self) -> bool {
        self.within_pict == self.pict && self.promised == REACHED.len()
    }

    /// `12 of 12 ≤ PICT; 4 of 6 ≤ best published, 4 of 4 where promised`.
    pub(crate) fn told(self) -> String {
        format!(
            "{} of {} ≤ PICT; {} of {} ≤ best published, {} of {} where promised",
            self.within_pict,
            self.pict,
            self.within_best,
            self.best,
            self.promised,
            REACHED.len()
        )
    }
}
