//! `parallax certify`: a signed statement of what a run showed.

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Exit;
use super::failure::Failure;
use super::{analyse, console, keygen, run};
use crate::attestation::envelope::Envelope;
use crate::attestation::statement::{DISCLOSURES_JSON, DISCLOSURES_TOML};
use crate::attestation::{Evidence, Predicate, Statement, verify};
use crate::scenario;
use crate::store::Folder;

/// Arguments of `parallax certify`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The folder of a finished run, or a scenario, which is run first
    target: PathBuf,
    /// What the vendor says openly; takes the place of what the run was given
    #[arg(long, value_name = "FILE")]
    disclosures: Option<PathBuf>,
    /// The private key: PKCS#8 in PEM, Ed25519 or ECDSA on P-256
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The envelope to write: a test result (in-toto test-result v0.1)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A second envelope: the claim with its conditions (in-toto SCAI v0.3)
    #[arg(long, value_name = "FILE")]
    claim: Option<PathBuf>,
    #[command(flatten)]
    how: run::How,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    // A bad key or a file in the way is said before an hour of cells, not after.
    let key = keygen::signing_key(&arguments.key)?;
    for path in std::iter::once(&arguments.out).chain(&arguments.claim) {
        if path.exists() {
            return Err(Failure::usage(format!("{} is there already; name another file", path.display())));
        }
    }
    let folder = if arguments.target.is_dir() {
        arguments.target.clone()
    } else {
        let (folder, _) = run::to_folder(&run::Arguments::of(
            arguments.target.clone(),
            arguments.disclosures.clone(),
            &arguments.how,
        ))?;
        folder
    };
    let given = match &arguments.disclosures {
        None => None,
        Some(path) => {
            let text = fs_err::read(path).map_err(|error| Failure::usage(error.to_string()))?;
            Some((text, DISCLOSURES_TOML.to_owned()))
        }
    };
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let mut exit = Exit::Clean;
    let wanted = [(Predicate::TestResult, Some(&arguments.out)), (Predicate::Attributes, arguments.claim.as_ref())];
    let predicates: Vec<Predicate> = wanted.iter().filter(|(_, out)| out.is_some()).map(|(what, _)| *what).collect();
    let statements = statements(&folder, given, &predicates, &now)?;
    for (statement, out) in statements.into_iter().zip(wanted.iter().filter_map(|(_, out)| *out)) {
        let sealed =
            Envelope::sign(&statement.to_json(), &key).map_err(|error| Failure::engine(error.to_string()))?.to_json();
        super::write_new(out, &sealed, 0o644)?;
        // What was written is read back as anyone would: a statement that contradicts itself is a bug of ours.
        let claim = verify::open(&sealed, &key.public()).map_err(|error| Failure::engine(error.to_string()))?;
        let outcome = claim.outcome;
        console::say(&format!("{} {}", outcome.word(), out.display()));
        if statement.predicate_type == crate::attestation::statement::TEST_RESULT {
            exit = Exit::from(outcome);
            console::say(&super::verify::summary(&claim));
        }
    }
    Ok(exit)
}

/// The statements that a stored run gives, computed from its records. Without `given`, the disclosures are those that the
/// run was made with.
pub(super) fn statements(
    path: &Path,
    given: Option<(Vec<u8>, String)>,
    predicates: &[Predicate],
    certified: &str,
) -> Result<Vec<Statement>, Failure> {
    let folder = Folder::open(path)?;
    let mut manifest = folder.manifest()?;
    let (text, media_type) = given.unwrap_or_else(|| {
        let text = serde_json::to_vec(&manifest.scenario.disclosed).unwrap_or_default();
        (text, DISCLOSURES_JSON.to_owned())
    });
    manifest.scenario.disclosed = if media_type == DISCLOSURES_TOML {
        let text = String::from_utf8_lossy(&text);
        scenario::parse_disclosures(&text, "the disclosures", &manifest.scenario.factors)?
    } else {
        serde_json::from_slice(&text)
            .map_err(|error| Failure::usage(format!("the disclosures are not as they should be: {error}")))?
    };
    let read = analyse::read(&folder, &manifest)?;
    let records = fs_err::read(path.join("cells.jsonl.zst")).map_err(|error| Failure::engine(error.to_string()))?;
    let records_sha256 = {
        use sha2::Digest as _;
        hex::encode(sha2::Sha256::digest(&records))
    };
    let evidence = Evidence {
        manifest: &manifest,
        findings: &read.findings,
        plan: &read.plan,
        seen: &read.seen()?,
        records_sha256: &records_sha256,
        disclosures: (&text, &media_type),
    };
    predicates
        .iter()
        .map(|predicate| {
            Statement::of(evidence, *predicate, certified).map_err(|error| Failure::usage(error.to_string()))
        })
        .collect()
}
