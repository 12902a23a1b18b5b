//! `parallax keygen`: a key pair for signing statements.

use std::path::{Path, PathBuf};

use clap::Args;

use super::console;
use super::exit::Exit;
use super::failure::Failure;
use crate::attestation::key::{SigningKey, VerifyingKey, generate};

/// Arguments of `parallax keygen`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Writes PREFIX.key (private: keep it to yourself) and PREFIX.pub
    #[arg(long, value_name = "PREFIX")]
    out: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let (private, public) = generate().map_err(|error| Failure::engine(error.to_string()))?;
    let file = |suffix: &str| {
        let mut name = arguments.out.clone().into_os_string();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (private_file, public_file) = (file(".key"), file(".pub"));
    super::write_new(&private_file, private.as_bytes(), 0o600)?;
    super::write_new(&public_file, public.as_bytes(), 0o644)?;
    console::note(&format!(
        "{} is private; give {} to whoever verifies",
        private_file.display(),
        public_file.display()
    ));
    Ok(Exit::Clean)
}

/// Reads a private key.
pub(super) fn signing_key(path: &Path) -> Result<SigningKey, Failure> {
    SigningKey::from_pem(&read(path)?).map_err(|error| refused(path, &error.to_string()))
}

/// Reads a public key.
pub(super) fn verifying_key(path: &Path) -> Result<VerifyingKey, Failure> {
    VerifyingKey::from_pem(&read(path)?).map_err(|error| refused(path, &error.to_string()))
}

fn read(path: &Path) -> Result<String, Failure> {
    fs_err::read_to_string(path).map_err(|error| Failure::usage(format!("the key cannot be read: {error}")))
}

fn refused(path: &Path, why: &str) -> Failure {
    Failure::usage(format!("{} cannot be used as this key: {why}", path.display()))
}
