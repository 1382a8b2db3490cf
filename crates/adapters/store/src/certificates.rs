//! Which server certificates are taken, by `sslmode`.
//!
//! As with libpq, `prefer` and `require` encrypt and take any certificate: they keep out who only listens. `verify-ca`
//! asks for a trusted root, `verify-full` for the host's name as well; with a root certificate given, `require` is as
//! strict as `verify-ca`.

use std::path::Path;
use std::sync::Arc;

use onering_settings::SslMode;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::StoreError;
use crate::address::problem;

pub(crate) fn client_config(mode: SslMode, roots: Option<&Path>) -> Result<ClientConfig, StoreError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|wrong| problem(&wrong.to_string()))?;
    let any_root = matches!(mode, SslMode::Disable | SslMode::Prefer | SslMode::Require) && roots.is_none();
    let trusted = if any_root {
        None
    } else {
        let roots = Arc::new(root_store(roots)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
        Some(verifier.map_err(|wrong| problem(&wrong.to_string()))?)
    };
    let config = match (trusted, mode) {
        (Some(trusted), SslMode::VerifyFull) => builder.with_webpki_verifier(trusted).with_no_client_auth(),
        (trusted, _) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NameIgnored { trusted, provider }))
            .with_no_client_auth(),
    };
    Ok(config)
}

fn root_store(file: Option<&Path>) -> Result<RootCertStore, StoreError> {
    let certificates = match file {
        Some(file) => CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|wrong| problem(&format!("cannot read the certificates in {}: {wrong}", file.display())))?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates);
    if roots.is_empty() {
        return Err(problem("its sslmode asks for trusted root certificates, and there are none"));
    }
    Ok(roots)
}

/// Takes a certificate for any name: of a trusted root if there are any, else of any.
#[derive(Debug)]
struct NameIgnored {
    trusted: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NameIgnored {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trusted) = &self.trusted else { return Ok(ServerCertVerified::assertion()) };
        // The chain is judged before the name, so a wrong name means that all else is right.
        match trusted.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            judged => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
