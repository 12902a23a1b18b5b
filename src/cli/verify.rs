//! `parallax verify`: whether a statement is to be relied on.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use sha2::Digest as _;

use super::exit::Exit;
use super::failure::Failure;
use super::{certify, console, keygen};
use crate::attestation::key::VerifyingKey;
use crate::attestation::policy::Policy;
use crate::attestation::statement::TEST_RESULT;
use crate::attestation::verify::{self, Claim};
use crate::attestation::{Predicate, Standing, TestOutcome};
use crate::report::escape;
use crate::store::Folder;

/// An envelope is never longer than this.
const LONGEST: u64 = 64 << 20;

/// Arguments of `parallax verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes:\n  0  everything that was asked for holds\n  1  verification failed: each reason is \
                        named\n  2  the command line, the key or the policy is wrong"
)]
pub(super) struct Arguments {
    /// The envelope
    envelope: PathBuf,
    /// The signer's public key: SPKI in PEM, Ed25519 or ECDSA on P-256
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What is demanded; default: that the result is PASSED
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// What it must be about: a package URL, a digest, or a file, whose digest is taken
    #[arg(long, value_name = "WHAT")]
    subject: Option<String>,
    /// The run's folder: the findings are computed again and compared
    #[arg(long, value_name = "DIR")]
    run: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let key = keygen::verifying_key(&arguments.key)?;
    let policy = match &arguments.policy {
        None => Policy::default(),
        Some(path) => {
            let text = fs_err::read_to_string(path).map_err(|error| Failure::usage(error.to_string()))?;
            Policy::parse(&text).map_err(|error| Failure::usage(format!("{} is refused: {error}", path.display())))?
        }
    };
    let claim = match open(&arguments.envelope, &key)? {
        Ok(claim) => claim,
        Err(problem) => return Ok(failed(&[problem])),
    };
    console::say(&summary(&claim));
    let mut problems = verify::contradictions(&claim);
    problems.extend(verify::shortfalls(&claim, &policy, chrono::Utc::now()));
    if let Some(wanted) = &arguments.subject {
        problems.extend(about(&claim, wanted)?);
    }
    if let Some(folder) = &arguments.run {
        problems.extend(with_run(&claim, folder)?);
    }
    if problems.is_empty() {
        console::say("verified");
        return Ok(Exit::Clean);
    }
    Ok(failed(&problems))
}

/// Reads an envelope; `Err` says why it is not to be relied on.
pub(super) fn open(path: &Path, key: &VerifyingKey) -> Result<Result<Claim, String>, Failure> {
    let refused = |error: std::io::Error| Failure::usage(format!("the envelope cannot be read: {error}"));
    let mut bytes = Vec::new();
    fs_err::File::open(path).map_err(refused)?.take(LONGEST).read_to_end(&mut bytes).map_err(refused)?;
    Ok(verify::open(&bytes, key).map_err(|error| error.to_string()))
}

fn failed(problems: &[String]) -> Exit {
    for problem in problems {
        console::error(&escape::terminal(problem));
    }
    console::say("not verified");
    Exit::Findings
}

fn about(claim: &Claim, wanted: &str) -> Result<Option<String>, Failure> {
    let path = Path::new(wanted);
    if !path.is_file() {
        return Ok((!verify::is_about(claim, wanted)).then(|| format!("it is not about {wanted}")));
    }
    let bytes = fs_err::read(path).map_err(|error| Failure::usage(error.to_string()))?;
    let digests = [
        hex::encode(sha2::Sha256::digest(&bytes)),
        hex::encode(sha2::Sha384::digest(&bytes)),
        hex::encode(sha2::Sha512::digest(&bytes)),
    ];
    let is_about = digests.iter().any(|digest| verify::is_about(claim, digest));
    Ok((!is_about).then(|| format!("it is not about the file {wanted}: no subject has its digest")))
}

/// The statement that the run itself gives, beside the one that was signed.
fn with_run(claim: &Claim, folder: &Path) -> Result<Vec<String>, Failure> {
    let predicate =
        if claim.statement.predicate_type == TEST_RESULT { Predicate::TestResult } else { Predicate::Attributes };
    let Some(disclosures) = verify::disclosures(claim) else {
        return Ok(vec![String::from("it does not hold the disclosures that its findings were judged by")]);
    };
    Folder::open(folder)?;
    match certify::statements(folder, Some(disclosures), &[predicate], &claim.conditions.certified) {
        Ok(given) => Ok(given.first().map(|given| verify::differences(claim, given)).unwrap_or_default()),
        // A run that cannot be read again bears nothing out.
        Err(failure) => Ok(vec![format!("the run does not give it: {}", failure.message())]),
    }
}

/// What a statement says, in a few lines, safe for a terminal.
pub(super) fn summary(claim: &Claim) -> String {
    let conditions = &claim.conditions;
    let subjects: Vec<String> = claim.statement.subject.iter().map(|subject| subject.name.clone()).collect();
    let count = |standing| conditions.dependences.iter().filter(|one| one.standing == standing).count();
    let lines = [
        ("subject", subjects.join(", ")),
        ("result", format!("{} (run of {})", claim.outcome.word(), conditions.observed)),
        (
            "tests",
            format!(
                "{} passed, {} warned, {} failed, {} not tested",
                claim.tests.passed.len(),
                claim.tests.warned.len(),
                claim.tests.failed.len(),
                claim.tests.untested.len()
            ),
        ),
        (
            "dependences",
            format!(
                "{} open, {} disclosed, {} explained; {} disclosures not borne out",
                count(Standing::Open),
                count(Standing::Disclosed),
                count(Standing::Explained),
                conditions.stale.len()
            ),
        ),
        (
            "varied",
            conditions
                .factors
                .iter()
                .map(|factor| format!("{} ({})", factor.name, factor.levels.len()))
                .collect::<Vec<_>>()
                .join(", "),
        ),
        ("not varied", conditions.not_varied.join(", ")),
        (
            "power",
            format!(
                "strength {}, {} of {} combinations, {} cells, alpha {}; a rate of {:.2} would be seen with probability \
                 {:.2}",
                conditions.strength,
                conditions.combinations_covered,
                conditions.combinations_total,
                conditions.cells_observed,
                conditions.alpha,
                conditions.smallest_detectable_rate,
                conditions.power
            ),
        ),
    ];
    let lines = lines.iter().map(|(name, value)| format!("   {name:<12}{}", escape::terminal(value)));
    lines.collect::<Vec<_>>().join("\n")
}

impl From<TestOutcome> for Exit {
    fn from(outcome: TestOutcome) -> Self {
        match outcome {
            TestOutcome::Passed => Self::Clean,
            TestOutcome::Failed => Self::Findings,
            TestOutcome::Warned => Self::Inconclusive,
        }
    }
}
