//! **TLS** for any name: certificates minted as they are asked for, in the name of the run's authority, and the client's
//! hello as it was said.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ClientHello;
use sha2::Digest as _;
use tokio_rustls::LazyConfigAcceptor;

use super::GatewayError;
use super::authority::Validity;
use super::tee::{Duplex, Tee};
use super::{authority, hello};
use crate::capture::HelloDetail;

/// Names whose certificates are kept; an agent that asks for more finds them minted again, and the same.
const MOST_NAMES: usize = 2048;

/// How a DER name of a single common name begins, up to its length bytes: SET, SEQUENCE, the object id 2.5.4.3.
const COMMON_NAME: [u8; 5] = [0x06, 0x03, 0x55, 0x04, 0x03];

/// What a client said first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    /// Server name indicated.
    pub(super) sni: Option<String>,
    /// Protocols offered.
    pub(super) alpn: Vec<String>,
    /// Cipher suites offered, four hex digits each.
    pub(super) cipher_suites: Vec<String>,
    /// What the library does not tell.
    pub(super) detail: Option<HelloDetail>,
}

/// What became of a handshake.
pub(super) enum Handshake {
    /// It came to its end.
    Completed(Hello, Box<dyn Duplex>),
    /// The client, or an incompatibility, stopped it after the hello.
    Stopped(Hello),
    /// There was no hello that could be read.
    Unreadable,
}

/// What a configuration is for: a name, and the protocol agreed on.
type Served = (String, Option<&'static str>);

/// Mints certificates and accepts TLS with them.
pub(super) struct Certificates {
    issuer: Issuer<'static, KeyPair>,
    validity: Validity,
    leaf_key: KeyPair,
    configurations: Mutex<HashMap<Served, Arc<ServerConfig>>>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl Certificates {
    /// Certificates in the name of this authority.
    ///
    /// # Errors
    /// When the authority is not one that [`Authority::mint`](super::Authority::mint) made.
    pub(super) fn new(ca_certificate: &str, ca_key: &str, validity: Validity) -> Result<Self, GatewayError> {
        let name = common_name(ca_certificate).map_err(GatewayError::UnusableAuthority)?;
        let issuer = Issuer::new(authority::certificate_params(&name, validity), KeyPair::from_pem(ca_key)?);
        Ok(Self { issuer, validity, leaf_key: KeyPair::generate()?, configurations: Mutex::default() })
    }

    /// Accepts TLS on a stream that was dialled at `dialled`, for the name that the client indicates, else for
    /// `fallback` (a tunnel's host), else for the address. `http2`: whether that is agreed on where HTTP/1.1 is offered too.
    pub(super) async fn accept(
        &self,
        mut stream: Tee,
        dialled: IpAddr,
        fallback: Option<&str>,
        http2: bool,
    ) -> Handshake {
        let detail = hello::peek(&mut stream).await;
        let Ok(start) = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream).await else {
            return Handshake::Unreadable;
        };
        let hello = Hello { detail, ..read_hello(&start.client_hello()) };
        let name = hello.sni.clone().or_else(|| fallback.map(str::to_owned)).unwrap_or_else(|| dialled.to_string());
        let Ok(configuration) = self.configuration(&name, choose_alpn(&hello.alpn, http2)) else {
            return Handshake::Stopped(hello);
        };
        match start.into_stream(configuration).await {
            Ok(stream) => Handshake::Completed(hello, Box::new(stream)),
            Err(_) => Handshake::Stopped(hello),
        }
    }

    fn configuration(&self, name: &str, alpn: Option<&'static str>) -> Result<Arc<ServerConfig>, GatewayError> {
        let key = (name.to_owned(), alpn);
        let mut configurations = self.configurations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(configuration) = configurations.get(&key) {
            return Ok(Arc::clone(configuration));
        }
        let private = PrivateKeyDer::try_from(self.leaf_key.serialize_der())
            .map_err(|error| GatewayError::UnusableAuthority(error.to_owned()))?;
        let mut configuration = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![self.mint(name)?], private))
            .map_err(|error| GatewayError::UnusableAuthority(error.to_string()))?;
        configuration.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let configuration = Arc::new(configuration);
        if configurations.len() >= MOST_NAMES {
            configurations.clear();
        }
        configurations.insert(key, Arc::clone(&configuration));
        Ok(configuration)
    }

    /// A leaf for one name or address. Its serial follows from the name, so that it is the same in every cell.
    fn mint(&self, name: &str) -> Result<CertificateDer<'static>, rustls::Error> {
        let general = |error: rcgen::Error| rustls::Error::General(error.to_string());
        let mut params = CertificateParams::new(vec![name.to_owned()]).map_err(general)?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        // RFC 5280: a common name has at most 64 characters. Never empty, never the authority's own.
        let common = if name.len() <= 64 { name } else { "server" };
        params.distinguished_name.push(DnType::CommonName, common);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let mut serial = sha2::Sha256::digest(name.as_bytes())[..16].to_vec();
        serial[0] = serial[0] & 0x7f | 0x40;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        self.validity.set(&mut params);
        Ok(params.signed_by(&self.leaf_key, &self.issuer).map_err(general)?.der().clone())
    }
}

/// The protocol to agree on. A client that offers nothing but h2 gets it even where the cell is to have HTTP/1.1: refusing
/// would be an answer that no real server gives.
fn choose_alpn(offered: &[String], http2: bool) -> Option<&'static str> {
    let offers = |protocol: &str| offered.iter().any(|offer| offer == protocol);
    match (offers("h2"), offers("http/1.1")) {
        (true, http1) if http2 || !http1 => Some("h2"),
        (_, true) => Some("http/1.1"),
        _ => None,
    }
}

fn read_hello(hello: &ClientHello<'_>) -> Hello {
    Hello {
        sni: hello.server_name().map(str::to_ascii_lowercase),
        alpn: hello.alpn().map(|offers| offers.map(super::head::text).collect()).unwrap_or_default(),
        cipher_suites: hello.cipher_suites().iter().map(|suite| format!("{:04x}", u16::from(*suite))).collect(),
        detail: None,
    }
}

/// The common name that is an authority's whole subject.
fn common_name(pem: &str) -> Result<String, String> {
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|error| error.to_string())?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).map_err(|error| error.to_string())?;
    let subject = roots.roots.first().map(|root| root.subject.to_vec()).unwrap_or_default();
    // SET, length, SEQUENCE, length, object id (5 bytes), string type, length, string: one attribute, up to 127 bytes.
    match subject.get(4..9) {
        Some(oid)
            if oid == COMMON_NAME
                && subject.get(10).is_some_and(|length| usize::from(*length) + 11 == subject.len()) =>
        {
            String::from_utf8(subject[11..].to_vec()).map_err(|error| error.to_string())
        }
        _ => Err(String::from("its subject is not a single common name")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Authority;
    use super::*;

    fn certificates() -> Certificates {
        let authority = Authority::mint("Corporate Root CA").unwrap();
        Certificates::new(&authority.certificate_pem, &authority.key_pem, authority.validity).unwrap()
    }

    #[test]
    fn the_authoritys_name_is_read_back() {
        let authority = Authority::mint("Corporate Root CA").unwrap();
        assert_eq!(common_name(&authority.certificate_pem).unwrap(), "Corporate Root CA");
    }

    #[test]
    fn names_and_addresses_are_minted_and_kept() {
        let certificates = certificates();
        for name in ["api.example.com", "192.0.2.7", "2001:db8::7", "under_score.example", &"long.".repeat(40)] {
            let one = certificates.configuration(name, None).unwrap();
            let two = certificates.configuration(name, None).unwrap();
            assert!(Arc::ptr_eq(&one, &two), "{name}");
        }
    }

    #[test]
    fn alpn_is_http1_unless_h2_is_a_level_or_all_that_is_offered() {
        let offer = |protocols: &[&str]| protocols.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(choose_alpn(&offer(&["h2", "http/1.1"]), false), Some("http/1.1"));
        assert_eq!(choose_alpn(&offer(&["h2"]), false), Some("h2"));
        assert_eq!(choose_alpn(&offer(&["imap"]), true), None);
        assert_eq!(choose_alpn(&[], true), None);
        assert_eq!(choose_alpn(&offer(&["h2", "http/1.1"]), true), Some("h2"));
    }
}
