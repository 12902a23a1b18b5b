//! Shows what the features of a stored run's cover phase vary with: `cargo run --release --example signals -- RUN`.
//! For those who work on features: a signal is a set of features with the very same pattern over all runs.

#![allow(missing_docs, clippy::print_stdout, reason = "a program of its own")]

use std::sync::Arc;

use parallax::attribution::evidence::{Evidence, Run};
use parallax::attribution::screen;
use parallax::cell::Phase;
use parallax::design::Space;
use parallax::feature::{Extractor, Observation};
use parallax::store::Stored as _;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_default();
    let stored = parallax::store::Folder::open(std::path::Path::new(&folder))?;
    let manifest = stored.manifest()?;
    let scenario = Arc::new(manifest.scenario.clone());
    let recorded = stored.records()?;
    let records = recorded.load(0..recorded.len())?;
    let wanted = std::env::args().nth(2);
    let cover: Vec<_> = records.iter().filter(|record| record.cell.phase == Phase::Cover).collect();
    let mut extractor = Extractor::new(Arc::clone(&scenario));
    let start = std::time::Instant::now();
    for record in &cover {
        if let Ok(capture) = &record.outcome {
            extractor.learn(Observation { levels: &record.cell.levels, capture });
        }
    }
    extractor.freeze();
    let mut evidence = Evidence::default();
    for record in &cover {
        if let Ok(capture) = &record.outcome {
            let row = extractor.extract(Observation { levels: &record.cell.levels, capture });
            evidence.push(Run { cell: record.cell.clone(), row });
        }
    }
    if let Some(wanted) = wanted {
        for record in records.iter().filter(|record| record.cell.phase != Phase::Cover) {
            if let Ok(capture) = &record.outcome {
                let row = extractor.extract(Observation { levels: &record.cell.levels, capture });
                evidence.push(Run { cell: record.cell.clone(), row });
            }
        }
        for (index, feature) in extractor.features().iter().enumerate().filter(|(_, f)| f.id.contains(&wanted)) {
            println!("{}", feature.id);
            for (at, run) in evidence.runs().iter().enumerate() {
                let value = evidence.value(at, index).map(|value| extractor.value(value));
                println!("    {} {:?} {:?} {value:?}", run.cell.id, run.cell.phase, run.cell.levels.0);
            }
        }
        return Ok(());
    }
    let space = Space::of(&scenario);
    let signals = screen::signals(&evidence, &space, 0..extractor.features().len());
    println!(
        "{} features, {} signals, {:.2} s",
        extractor.features().len(),
        signals.len(),
        start.elapsed().as_secs_f64()
    );
    for signal in &signals {
        let best = screen::best_factor(&evidence, &space, signal.lead());
        let (factor, left) = best.map_or(("-", 0), |(factor, left)| (scenario.factors[factor].name.as_str(), left));
        println!(
            "{} {:>3} values {:>4} places  {factor} leaves {left}",
            if signal.deterministic { "D" } else { "N" },
            signal.values,
            signal.features.len()
        );
        for feature in signal.features.iter().take(3) {
            let known = &extractor.features()[*feature];
            let mut values: Vec<_> = (0..evidence.runs().len())
                .map(|run| evidence.value(run, *feature).map(|v| extractor.value(v)))
                .collect();
            values.sort_unstable();
            values.dedup();
            let shown: Vec<String> = values
                .iter()
                .take(4)
                .map(|value| value.map_or("(absent)".into(), |text| text.chars().take(60).collect()))
                .collect();
            println!("      #{feature} {:?} {} = {}", known.kind, known.id, shown.join(" | "));
        }
    }
    Ok(())
}
