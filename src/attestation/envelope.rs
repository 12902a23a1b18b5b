//! The **envelope** (DSSE 1.0): a payload, its type, and signatures over both. The signature is checked before a byte of
//! the payload is read.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::{Deserialize, Serialize};

use super::key::{KeyError, SigningKey, VerifyingKey};

/// The type of an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Why an envelope is not to be relied on.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EnvelopeError {
    /// Not JSON of the right shape.
    #[error("it is no DSSE envelope: {0}")]
    Shape(String),
    /// Another type of payload.
    #[error("its payload is of the type {0:?}, not {PAYLOAD_TYPE:?}")]
    Type(String),
    /// No signature of this key.
    #[error("no signature in it was made by this key over this payload")]
    Signature,
}

/// A DSSE envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The statement's bytes in base64.
    pub payload: String,
    /// [`PAYLOAD_TYPE`].
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// At least one.
    pub signatures: Vec<Signature>,
}

/// A signature over payload and type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Which key; a hint that nobody signs.
    #[serde(default)]
    pub keyid: String,
    /// The signature in base64.
    pub sig: String,
}

impl Envelope {
    /// Signs a payload.
    ///
    /// # Errors
    /// When the machine gives no random bytes.
    pub fn sign(payload: &[u8], key: &SigningKey) -> Result<Self, KeyError> {
        let signature = key.sign(&encoding(PAYLOAD_TYPE, payload))?;
        Ok(Self {
            payload: STANDARD.encode(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![Signature { keyid: key.public().id(), sig: STANDARD.encode(signature) }],
        })
    }

    /// As JSON on one line.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// The payload of an envelope that this key signed.
    ///
    /// # Errors
    /// When it is none, or the key did not sign it.
    pub fn open(bytes: &[u8], key: &VerifyingKey) -> Result<Vec<u8>, EnvelopeError> {
        let shape = |error: String| EnvelopeError::Shape(error);
        let envelope: Self = serde_json::from_slice(bytes).map_err(|error| shape(error.to_string()))?;
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(EnvelopeError::Type(envelope.payload_type));
        }
        let payload = decode(&envelope.payload).ok_or_else(|| shape(String::from("the payload is not base64")))?;
        let signed = encoding(&envelope.payload_type, &payload);
        let signatures = envelope.signatures.iter().filter_map(|signature| decode(&signature.sig));
        if signatures.into_iter().any(|signature| key.verifies(&signed, &signature)) {
            Ok(payload)
        } else {
            Err(EnvelopeError::Signature)
        }
    }
}

/// Either alphabet, as DSSE asks of readers.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// DSSE's pre-authentication encoding: lengths before parts, so that no two pairs are the same bytes.
fn encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attestation::key::generate;

    #[test]
    fn the_encoding_is_the_standards() {
        // The example of the DSSE specification.
        assert_eq!(
            encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn an_envelope_opens_with_its_key_and_no_other_and_no_flipped_bit_gets_through() {
        let (private, _) = generate().unwrap();
        let key = SigningKey::from_pem(&private).unwrap();
        let payload = br#"{"a": "statement"}"#;
        let sealed = Envelope::sign(payload, &key).unwrap().to_json();
        assert_eq!(Envelope::open(&sealed, &key.public()).unwrap(), payload);
        let other = SigningKey::from_pem(&generate().unwrap().0).unwrap();
        assert_eq!(Envelope::open(&sealed, &other.public()), Err(EnvelopeError::Signature));
        let mut opened = 0;
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut flipped = sealed.clone();
                flipped[at] ^= 1 << bit;
                // The hint may change, and space between the parts; what is signed may not.
                if let Ok(read) = Envelope::open(&flipped, &key.public()) {
                    assert_eq!(read, payload, "byte {at}, bit {bit}");
                    opened += 1;
                }
            }
        }
        assert!(opened < 8 * 80, "{opened} flipped bits went unnoticed: more than the hint has");
    }

    #[test]
    fn another_type_is_refused_even_when_it_is_signed() {
        let key = SigningKey::from_pem(&generate().unwrap().0).unwrap();
        let mut envelope = Envelope::sign(b"{}", &key).unwrap();
        envelope.payload_type = String::from("text/plain");
        envelope.signatures[0].sig = STANDARD.encode(key.sign(&encoding("text/plain", b"{}")).unwrap());
        assert_eq!(
            Envelope::open(&envelope.to_json(), &key.public()),
            Err(EnvelopeError::Type(String::from("text/plain")))
        );
        envelope.signatures.clear();
        envelope.payload_type = String::from(PAYLOAD_TYPE);
        assert_eq!(Envelope::open(&envelope.to_json(), &key.public()), Err(EnvelopeError::Signature));
        assert!(matches!(Envelope::open(b"[]", &key.public()), Err(EnvelopeError::Shape(_))));
    }
}
