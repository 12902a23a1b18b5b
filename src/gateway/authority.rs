//! The run's certificate **authority**: made once a run, given to every gateway, trusted by every agent.

use chrono::{Datelike as _, Days, NaiveDate, Utc};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};

use super::GatewayError;

/// A certificate authority.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// Its private key, PEM.
    pub key_pem: String,
}

impl Authority {
    /// Makes an authority (ECDSA P-256, valid from some days back to a year ahead) whose subject's only attribute is
    /// the common name `name`. Agents can see the name: choose one that a company's network could have.
    ///
    /// # Errors
    /// When the key or the certificate cannot be made.
    pub fn mint(name: &str) -> Result<Self, GatewayError> {
        let key = KeyPair::generate()?;
        let certificate = certificate_params(name).self_signed(&key)?;
        Ok(Self { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

/// The authority's own certificate, unsigned. Gateways make it again from the name, to issue leaves in its name.
pub(super) fn certificate_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    // Never rcgen's default name: leaves would have it too, and clients then take them for self-signed.
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    set_validity(&mut params);
    params
}

/// From a week back (a clock factor may set an agent's clock back a little) to a year ahead. Whole days, so that leaves
/// minted in different cells of a run are alike.
pub(super) fn set_validity(params: &mut CertificateParams) {
    let today = Utc::now().date_naive();
    let moment = |date: NaiveDate| {
        let month = u8::try_from(date.month()).unwrap_or(1);
        let day = u8::try_from(date.day()).unwrap_or(1);
        rcgen::date_time_ymd(date.year(), month, day)
    };
    params.not_before = moment(today - Days::new(7));
    params.not_after = moment(today + Days::new(365));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_pem_and_each_is_new() {
        let one = Authority::mint("Corporate Root").unwrap();
        let two = Authority::mint("Corporate Root").unwrap();
        assert!(one.certificate_pem.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(one.key_pem.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_ne!(one.key_pem, two.key_pem);
    }
}
