//! **Keys**: Ed25519 as this program makes them, and ECDSA on P-256 as others do; PKCS#8 and SPKI in PEM.

use std::fmt;

use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use sha2::Digest as _;

/// PKCS#8 of an Ed25519 key before its 32 bytes (RFC 8410).
const ED25519_PRIVATE: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// SPKI of an Ed25519 key before its 32 bytes (RFC 8410).
const ED25519_PUBLIC: [u8; 12] = *b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
/// SPKI of a point on P-256 before its 65 bytes, uncompressed (RFC 5480).
const P256_PUBLIC: [u8; 26] =
    *b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// Not PEM.
    #[error("it is not PEM: {0}")]
    NotPem(String),
    /// A public key where a private one is needed, or the other way round.
    #[error("it is a {found}; {wanted}")]
    Other {
        /// What the PEM says it is.
        found: String,
        /// What is needed, and how to come by it.
        wanted: &'static str,
    },
    /// Another algorithm, or damaged.
    #[error("it is neither an Ed25519 key nor an ECDSA key on P-256, or it is damaged")]
    Unknown,
    /// The machine gave no random bytes.
    #[error("the machine gave no random bytes")]
    NoChance,
}

/// A private key.
pub enum SigningKey {
    /// Ed25519.
    Ed25519(Ed25519KeyPair),
    /// ECDSA on P-256 with SHA-256, signatures in ASN.1.
    P256(Box<EcdsaKeyPair>),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

/// A fresh Ed25519 key: its private PEM and its public PEM.
///
/// # Errors
/// When the machine gives no random bytes.
pub fn generate() -> Result<(String, String), KeyError> {
    let mut seed = [0; 32];
    SystemRandom::new().fill(&mut seed).map_err(|_| KeyError::NoChance)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Unknown)?;
    // Version 1, without the public key: the form that every other program reads.
    let private = [&ED25519_PRIVATE[..], &seed].concat();
    let public = SigningKey::Ed25519(pair).public();
    Ok((write("PRIVATE KEY", private), public.to_pem()))
}

impl SigningKey {
    /// Reads PKCS#8 in PEM.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let pem = pem::parse(text).map_err(|error| KeyError::NotPem(error.to_string()))?;
        let other = |wanted| Err(KeyError::Other { found: pem.tag().to_owned(), wanted });
        match pem.tag() {
            "PRIVATE KEY" => {}
            "EC PRIVATE KEY" => return other("make PKCS#8 of it: openssl pkcs8 -topk8 -nocrypt -in KEY"),
            tag if tag.contains("ENCRYPTED") => {
                return other("signing needs one that is not encrypted: PKCS#8 in PEM, as `parallax keygen` writes");
            }
            _ => return other("signing needs a private one: PKCS#8 in PEM, as `parallax keygen` writes"),
        }
        let bytes = pem.contents();
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(bytes) {
            return Ok(Self::Ed25519(pair));
        }
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, bytes, &SystemRandom::new())
            .map(|pair| Self::P256(Box::new(pair)))
            .map_err(|_| KeyError::Unknown)
    }

    /// Signs.
    ///
    /// # Errors
    /// When the machine gives no random bytes, which ECDSA needs.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match self {
            Self::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Self::P256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| KeyError::NoChance),
        }
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> VerifyingKey {
        match self {
            Self::Ed25519(pair) => VerifyingKey::Ed25519(pair.public_key().as_ref().to_vec()),
            Self::P256(pair) => VerifyingKey::P256(pair.public_key().as_ref().to_vec()),
        }
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyingKey {
    /// Ed25519: 32 bytes.
    Ed25519(Vec<u8>),
    /// A point on P-256, uncompressed: 65 bytes.
    P256(Vec<u8>),
}

impl VerifyingKey {
    /// Reads SPKI in PEM.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let pem = pem::parse(text).map_err(|error| KeyError::NotPem(error.to_string()))?;
        if pem.tag() != "PUBLIC KEY" {
            return Err(KeyError::Other {
                found: pem.tag().to_owned(),
                wanted: "verifying needs the public one: SPKI in PEM, as `parallax keygen` writes into PREFIX.pub",
            });
        }
        // DER has one way to write these: what stands before the key is always the same.
        let bytes = pem.contents();
        let after = |prefix: &[u8], length: usize| {
            bytes.strip_prefix(prefix).filter(|key| key.len() == length).map(<[u8]>::to_vec)
        };
        let ed25519 = after(&ED25519_PUBLIC, 32).map(Self::Ed25519);
        ed25519.or_else(|| after(&P256_PUBLIC, 65).map(Self::P256)).ok_or(KeyError::Unknown)
    }

    /// SPKI in DER.
    #[must_use]
    pub fn to_der(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => [&ED25519_PUBLIC[..], key].concat(),
            Self::P256(key) => [&P256_PUBLIC[..], key].concat(),
        }
    }

    /// SPKI in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        write("PUBLIC KEY", self.to_der())
    }

    /// SHA-256 of the key in DER, lower-case hex. A hint for whoever has many keys; nothing is decided by it.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(sha2::Sha256::digest(self.to_der()))
    }

    /// Whether this key signed the message.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match self {
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Self::P256(key) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(message, signature),
        };
        verified.is_ok()
    }
}

fn write(tag: &str, contents: Vec<u8>) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(tag, contents), config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_key_signs_and_its_public_half_verifies() {
        let (private, public) = generate().unwrap();
        assert!(private.starts_with("-----BEGIN PRIVATE KEY-----\n") && public.contains("PUBLIC KEY"));
        let (signing, verifying) = (SigningKey::from_pem(&private).unwrap(), VerifyingKey::from_pem(&public).unwrap());
        assert_eq!(signing.public(), verifying);
        let signature = signing.sign(b"message").unwrap();
        assert!(verifying.verifies(b"message", &signature));
        assert!(!verifying.verifies(b"massage", &signature));
        let (other, _) = generate().unwrap();
        assert_ne!(other, private);
        assert!(!SigningKey::from_pem(&other).unwrap().public().verifies(b"message", &signature));
        assert!(!format!("{signing:?}").contains("PRIVATE"));
    }

    #[test]
    fn p256_works_too() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let signing = SigningKey::from_pem(&pair.serialize_pem()).unwrap();
        let verifying = VerifyingKey::from_pem(&pair.public_key_pem()).unwrap();
        assert_eq!(signing.public(), verifying);
        let signature = signing.sign(b"message").unwrap();
        assert!(verifying.verifies(b"message", &signature) && !verifying.verifies(b"massage", &signature));
        assert_eq!(VerifyingKey::from_pem(&verifying.to_pem()).unwrap(), verifying);
    }

    #[test]
    fn what_is_no_key_is_refused_with_a_remedy() {
        let (private, public) = generate().unwrap();
        let message = |text: &str| SigningKey::from_pem(text).unwrap_err().to_string();
        assert!(message("hello").contains("not PEM"));
        assert!(message(&public).contains("private one"));
        assert!(message(&write("EC PRIVATE KEY", vec![1])).contains("openssl pkcs8"));
        assert!(message(&write("ENCRYPTED SIGSTORE PRIVATE KEY", vec![1])).contains("not encrypted"));
        assert_eq!(SigningKey::from_pem(&write("PRIVATE KEY", vec![0; 40])).unwrap_err(), KeyError::Unknown);
        assert!(VerifyingKey::from_pem(&private).unwrap_err().to_string().contains("public one"));
        assert_eq!(VerifyingKey::from_pem(&write("PUBLIC KEY", vec![0; 44])).unwrap_err(), KeyError::Unknown);
    }
}
