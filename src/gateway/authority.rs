//! The run's certificate **authority**: made once a run, given to every gateway, trusted by every agent.

/// A certificate authority.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// Its private key, PEM.
    pub key_pem: String,
}
