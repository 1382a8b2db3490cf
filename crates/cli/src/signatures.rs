//! `onering sign` and `onering verify`: the platform's signatures by hand, for debugging a receiver.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use onering_clock::Clock;
use onering_settings::{Secret, load_cli};
use onering_signing::{
    Freshness, LiveSecrets, Scheme, Schemes, SigningInput, SigningSecret, Verifier, header, is_signable_id,
};

use crate::args::{Sign, Verify};
use crate::output;

/// Prints the headers of every scheme.
pub(crate) fn sign(options: &Sign) -> anyhow::Result<ExitCode> {
    if !is_signable_id(&options.event_id) {
        bail!("--event-id: 1 to 128 letters, digits, _ and - can be signed");
    }
    let body = read_body(options.body.as_deref())?;
    let secrets = LiveSecrets::from(secret(options.secret.as_deref())?);
    let unix_s = options.timestamp.unwrap_or_else(|| Clock::system().now().timestamp());
    let input = SigningInput { event_id: &options.event_id, unix_s, body: &body };
    for scheme in Scheme::ALL {
        let Some(schemes) = Schemes::new([scheme]) else { continue };
        output::line(&format!("# {scheme}"));
        for (name, value) in onering_signing::sign(&secrets, schemes, &input) {
            output::line(&format!("{name}: {value}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says whether a request is genuine and fresh; success only when it is.
pub(crate) fn verify(options: &Verify) -> anyhow::Result<ExitCode> {
    let mut headers = BTreeMap::new();
    for header in &options.headers {
        let (name, value) =
            header.split_once(':').with_context(|| format!("--header {header:?} is not `Name: value`"))?;
        headers.insert(name.trim().to_ascii_lowercase(), value.trim().to_owned());
    }
    let find = |name: &'static str| headers.get(&name.to_ascii_lowercase()).map(String::as_str);
    let body = read_body(options.body.as_deref())?;
    let window =
        if options.replay_window == 0 { Duration::MAX } else { Duration::from_secs(options.replay_window.into()) };
    let verifier = Verifier::new(secret(options.secret.as_deref())?).fresh(Freshness::within(window));
    let schemes = schemes_in(find);
    if schemes.is_empty() {
        output::line("refused: there is no signature header of a known scheme");
        return Ok(ExitCode::FAILURE);
    }
    let mut code = ExitCode::SUCCESS;
    for scheme in schemes {
        match verifier.verify(scheme, find, &body, Clock::system().now().timestamp()) {
            Ok(verified) => output::line(&format!("genuine ({scheme}), signed at {}", verified.unix_s)),
            Err(error) => {
                output::line(&format!("refused ({scheme}): {error}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// The schemes whose signatures a request carries: a receiver may go by any of them, so all must be right.
pub(crate) fn schemes_in<'h>(find: impl Fn(&'static str) -> Option<&'h str>) -> Vec<Scheme> {
    let own = Scheme::detect(|name| find(name).filter(|_| name != header::STANDARD_SIGNATURE));
    let standard = find(header::STANDARD_SIGNATURE).map(|_| Scheme::StandardWebhooks);
    own.into_iter().chain(standard).collect()
}

/// The secret of the command line, else of the settings.
fn secret(given: Option<&str>) -> anyhow::Result<SigningSecret> {
    let from_settings = if given.is_none() { load_cli()?.webhook_secret } else { None };
    let text = given.or(from_settings.as_ref().map(Secret::expose));
    let text = text.context("give the subscription's secret in ONERING_WEBHOOK_SECRET (or with --secret)")?;
    text.parse().context("--secret (or ONERING_WEBHOOK_SECRET) is not a signing secret")
}

fn read_body(path: Option<&Path>) -> anyhow::Result<Vec<u8>> {
    match path {
        Some(path) => std::fs::read(path).with_context(|| format!("{} cannot be read", path.display())),
        None => {
            let mut body = Vec::new();
            std::io::stdin().lock().read_to_end(&mut body).context("standard input cannot be read")?;
            Ok(body)
        }
    }
}
