//! Sorting the ways in which there was no answer.

use std::error::Error;
use std::io;

use onering_delivery::{Answer, Failure};

use crate::guard::GuardError;

/// A guard's verdict as an attempt's answer: nothing was sent.
pub(crate) fn of_guard(error: &GuardError) -> Answer {
    let failure = match error {
        GuardError::NoAddress | GuardError::Unresolvable(_) => Failure::Dns,
        _ => Failure::AddressRefused,
    };
    Answer::failed(failure, error.to_string())
}

/// What kept an answer from coming, told by the first cause in the error's chain that tells.
///
/// The URL is in no text: its path or query may be a credential.
pub(crate) fn of_client(error: reqwest::Error) -> Answer {
    let error = error.without_url();
    for cause in causes(&error) {
        if let Some(refused) = cause.downcast_ref::<GuardError>() {
            return of_guard(refused);
        }
        if let Some(tls) = cause.downcast_ref::<rustls::Error>() {
            return Answer::failed(Failure::Tls, tls.to_string());
        }
        if let Some(http) = cause.downcast_ref::<hyper::Error>()
            && http.is_parse()
        {
            return Answer::failed(Failure::InvalidResponse, http.to_string());
        }
    }
    if error.is_builder() {
        return Answer::failed(Failure::InvalidRequest, innermost(&error));
    }
    match (error.is_connect(), error.is_timeout()) {
        (true, true) => Answer::failed(Failure::Connect, "no connection in time"),
        (false, true) => Answer::failed(Failure::Timeout, "no answer in time"),
        // Until the request is sent nothing is read but the TLS handshake.
        (true, false) if ends_early(&error) => Answer::failed(Failure::Tls, innermost(&error)),
        (_, false) => Answer::failed(Failure::Connect, innermost(&error)),
    }
}

/// The error and its causes, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| next_cause(*error))
}

/// The cause of `error`; of an `io::Error` the error inside it, which its `source` passes over.
fn next_cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inside) => Some(inside),
        None => error.source(),
    }
}

/// Whether the other side closed the connection while something was still awaited of it.
fn ends_early(error: &reqwest::Error) -> bool {
    let mut io_errors = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>());
    io_errors.any(|error| error.kind() == io::ErrorKind::UnexpectedEof)
}

/// The cause beneath all others, which says what happened; those above say where in the client it passed.
fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
