//! What the analysis makes of bodies that unfold without end.

use std::process::Command;

use parallax::capture::{Body, Capture};
use parallax::wire::encoding;

use crate::lab::{Run, extract, runs};
use crate::unfolding::{UNFOLDED, bombs, peak_memory};

/// MB that the analysis of all of them may take: each is unfolded up to 64 MiB, into room that doubles as it fills.
const MOST_MEMORY: u64 = 300;

/// Bytes of all that is said of them.
const MOST_TEXT: usize = 64 << 10;

/// In a process of its own, whose memory is nobody else's.
#[test]
fn a_bomb_is_not_unfolded_by_the_analysis_either() {
    let tests = std::env::current_exe().unwrap();
    let output = Command::new(tests).args(["--exact", "bombs::alone", "--ignored", "--nocapture"]).output().unwrap();
    let said = format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by another test"]
fn alone() {
    let bombs = bombs();
    for (name, bomb) in &bombs {
        assert!(bomb.len() < UNFOLDED / 100, "{name} is no bomb: {} bytes", bomb.len());
        assert_eq!(encoding::decode(Some(name), bomb), None, "{name}");
        let again = vec![*name; 5000].join(", ");
        assert_eq!(encoding::decode(Some(&again), bomb), None, "{name}, many times");
    }
    let send = |run: &mut Run| -> Capture {
        let exchanges = bombs.iter().map(|(name, bomb)| {
            let path = format!("/v1/{name}");
            let mut exchange = run.post(&path, vec![("Content-Encoding", (*name).to_owned())], "");
            exchange.body = Body::new(bomb.as_slice());
            exchange
        });
        let exchanges = exchanges.collect();
        run.capture(exchanges)
    };
    let captures = runs(1, 2, 0, send);
    let extracted = extract(&captures);
    let features = extracted.extractor.features();
    for (name, _) in &bombs {
        assert!(features.iter().any(|f| f.id.contains(name)), "{name} is not told of at all");
    }
    let text: usize = (0..features.len()).filter_map(|feature| extracted.text(feature, 0)).map(str::len).sum();
    assert!(text < MOST_TEXT, "{text} bytes are said of them");
    assert!(extracted.varying().is_empty(), "the same bombs are the same");
    let peak = peak_memory("self");
    assert!(peak < MOST_MEMORY, "{peak} MB");
}
