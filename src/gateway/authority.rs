//! The run's certificate **authority**: made once a run, given to every gateway, trusted by every agent.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, Utc};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose};

use serde::{Deserialize, Serialize};

use super::GatewayError;

/// A certificate authority.
#[derive(Clone, Debug)]
pub struct Authority {
    /// Its certificate, PEM.
    pub certificate_pem: String,
    /// Its private key, PEM.
    pub key_pem: String,
    /// The days on which its certificates are valid.
    pub validity: Validity,
}

impl Authority {
    /// Makes an authority (ECDSA P-256, valid from some days back to a year ahead) whose subject's only attribute is
    /// the common name `name`. Agents can see the name: choose one that a company's network could have.
    ///
    /// # Errors
    /// When the key or the certificate cannot be made.
    pub fn mint(name: &str) -> Result<Self, GatewayError> {
        Self::mint_for(name, Validity::default())
    }

    /// As [`Authority::mint`], for agents whose clocks are set: valid on other days than those around today.
    ///
    /// # Errors
    /// As [`Authority::mint`].
    pub fn mint_for(name: &str, validity: Validity) -> Result<Self, GatewayError> {
        let key = KeyPair::generate()?;
        let certificate = certificate_params(name, validity).self_signed(&key)?;
        Ok(Self { certificate_pem: certificate.pem(), key_pem: key.serialize_pem(), validity })
    }
}

/// The days on which certificates are valid. Whole days, so that leaves minted in different cells of a run are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    from: NaiveDate,
    to: NaiveDate,
}

impl Default for Validity {
    /// From a week back to a year ahead.
    fn default() -> Self {
        let today = Utc::now().date_naive();
        Self { from: today - Days::new(7), to: today + Days::new(365) }
    }
}

impl Validity {
    /// Valid on the days around these instants too, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn and_at(self, instants: &[i64]) -> Self {
        let days = instants.iter().filter_map(|at| Some(DateTime::from_timestamp_millis(*at)?.date_naive()));
        days.fold(self, |Self { from, to }, day| Self {
            from: from.min(day - Days::new(7)),
            to: to.max(day + Days::new(365)),
        })
    }

    /// Writes the days into a certificate.
    pub(super) fn set(self, params: &mut CertificateParams) {
        let moment = |date: NaiveDate| {
            let month = u8::try_from(date.month()).unwrap_or(1);
            let day = u8::try_from(date.day()).unwrap_or(1);
            rcgen::date_time_ymd(date.year(), month, day)
        };
        params.not_before = moment(self.from);
        params.not_after = moment(self.to);
    }
}

/// The authority's own certificate, unsigned. Gateways make it again from the name, to issue leaves in its name.
pub(super) fn certificate_params(name: &str, validity: Validity) -> CertificateParams {
    let mut params = CertificateParams::default();
    // Never rcgen's default name: leaves would have it too, and clients then take them for self-signed.
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
    validity.set(&mut params);
    params
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

    #[test]
    fn certificates_are_valid_by_every_clock_of_the_run() {
        let day = 86_400_000;
        let usual = Validity::default();
        let wide = usual.and_at(&[0, 40_000 * day]);
        assert_eq!((wide.from.to_string().as_str(), wide.to.to_string().as_str()), ("1969-12-25", "2080-07-07"));
        assert_eq!(usual.and_at(&[]), usual);
        let today = Utc::now().timestamp_millis();
        assert_eq!(usual.and_at(&[today]), usual);
    }
}
