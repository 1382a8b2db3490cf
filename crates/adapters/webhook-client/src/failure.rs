//! Sorting the ways in which there was no answer.

use std::io;

use onering_delivery::{Answer, Failure};
use onering_http_exchange::{Malformed, Unconnected};

use crate::guard::GuardError;

/// What kept an answer from coming.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The guard lets nothing through.
    #[error(transparent)]
    Refused(#[from] GuardError),
    /// There was no connection in time.
    #[error("no connection in time")]
    NotConnected,
    /// There was no connection.
    #[error(transparent)]
    Connect(io::Error),
    /// The TLS handshake came to no end.
    #[error(transparent)]
    Handshake(io::Error),
    /// The connection took nothing of the request.
    #[error(transparent)]
    Unsent(io::Error),
    /// The connection broke after it took some of the request, or all.
    #[error(transparent)]
    Exchange(io::Error),
    /// The connection was closed by the other side.
    #[error("the connection was closed before an answer came")]
    Closed,
    /// What came is no answer.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl From<Unconnected> for Broken {
    fn from(unconnected: Unconnected) -> Self {
        match unconnected {
            Unconnected::Late => Self::NotConnected,
            Unconnected::Tcp(error) => Self::Connect(error),
            Unconnected::Handshake(error) => Self::Handshake(error),
        }
    }
}

/// A guard's verdict as an attempt's answer: nothing was sent.
pub(crate) fn of_guard(error: &GuardError) -> Answer {
    let failure = match error {
        GuardError::NoAddress | GuardError::Unresolvable(_) => Failure::Dns,
        _ => Failure::AddressRefused,
    };
    Answer::failed(failure, error.to_string())
}

/// What kept an answer from coming, as an attempt's answer. No text has the URL: its path or query may be a credential.
pub(crate) fn of_broken(broken: &Broken) -> Answer {
    let failure = match broken {
        Broken::Refused(refused) => return of_guard(refused),
        Broken::Malformed(_) => Failure::InvalidResponse,
        Broken::Handshake(error) if is_tls(error) || is_early_end(error) => Failure::Tls,
        Broken::Unsent(error) | Broken::Exchange(error) if is_tls(error) => Failure::Tls,
        Broken::NotConnected | Broken::Connect(_) | Broken::Closed => Failure::Connect,
        Broken::Handshake(_) | Broken::Unsent(_) | Broken::Exchange(_) => Failure::Connect,
    };
    Answer::failed(failure, broken.to_string())
}

/// Whether TLS itself, or the certificate's name, is what is wrong.
fn is_tls(error: &io::Error) -> bool {
    let Some(inside) = error.get_ref() else { return false };
    inside.is::<rustls::Error>() || inside.is::<rustls::pki_types::InvalidDnsNameError>()
}

/// Whether the other side closed the connection while something was still awaited of it.
fn is_early_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_has_its_class() {
        let tls = || io::Error::other(rustls::Error::DecryptError);
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        for (broken, failure) in [
            (Broken::Refused(GuardError::NoAddress), Failure::Dns),
            (Broken::Refused(GuardError::NoHost), Failure::AddressRefused),
            (Broken::NotConnected, Failure::Connect),
            (Broken::Connect(reset()), Failure::Connect),
            (Broken::Handshake(tls()), Failure::Tls),
            (Broken::Handshake(io::ErrorKind::UnexpectedEof.into()), Failure::Tls),
            (Broken::Handshake(reset()), Failure::Connect),
            (Broken::Exchange(tls()), Failure::Tls),
            (Broken::Exchange(io::ErrorKind::UnexpectedEof.into()), Failure::Connect),
            (Broken::Unsent(reset()), Failure::Connect),
            (Broken::Closed, Failure::Connect),
            (Broken::Malformed(Malformed::TooLong), Failure::InvalidResponse),
        ] {
            let text = of_broken(&broken).describe();
            assert!(text.starts_with(&format!("{}: ", failure.as_str())), "{broken:?}: {text}");
        }
    }
}
