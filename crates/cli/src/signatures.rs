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
    Freshness, KeyPair, LiveSecrets, ReceiverKey, Scheme, Schemes, SigningInput, SigningKeys, SigningSecret, Verifier,
    is_signable_id,
};

use crate::args::{Sign, Verify};
use crate::output;

/// Prints the headers of every scheme that is signed with what was given.
pub(crate) fn sign(options: &Sign) -> anyhow::Result<ExitCode> {
    if !is_signable_id(&options.event_id) {
        bail!("--event-id: 1 to 128 letters, digits, _ and - can be signed");
    }
    let body = read_body(options.body.as_deref())?;
    let (secrets, schemes) = signing_keys(secret(options.secret.as_deref())?.expose())?;
    let unix_s = options.timestamp.unwrap_or_else(|| Clock::system().now().timestamp());
    let input = SigningInput { event_id: &options.event_id, unix_s, body: &body };
    for scheme in schemes {
        output::line(&format!("# {scheme}"));
        for (name, value) in onering_signing::sign(&secrets, Schemes::from(scheme), &input) {
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
    let keys = receiver_keys(secret(options.secret.as_deref())?.expose())?;
    let verifier = Verifier::knowing(keys).fresh(Freshness::within(window));
    let schemes = schemes_to_judge(&verifier, find);
    if schemes.is_empty() {
        output::line(&format!("refused: there is no signature header that {SECRET_OPTION} can verify"));
        return Ok(ExitCode::FAILURE);
    }
    let mut code = ExitCode::SUCCESS;
    for scheme in schemes {
        match verifier.verify(scheme, find, &body, Clock::system().now().timestamp()) {
            Ok(verified) => {
                let line = format!("genuine ({scheme}), signed at {} with the {} key", verified.unix_s, verified.with);
                output::line(&line);
            }
            Err(error) => {
                output::line(&format!("refused ({scheme}): {error}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}

/// The schemes whose signatures a request carries and the receiver has keys for: it may go by any of them, so all must be
/// right.
pub(crate) fn schemes_to_judge<'h>(verifier: &Verifier, find: impl Fn(&'static str) -> Option<&'h str>) -> Vec<Scheme> {
    Scheme::carried(find).into_iter().filter(|scheme| verifier.can_judge(*scheme)).collect()
}

const SECRET_OPTION: &str = "--secret (or ONERING_WEBHOOK_SECRET)";

/// The text of the command line, else of the settings.
fn secret(given: Option<&str>) -> anyhow::Result<Secret> {
    let text = match given {
        Some(text) => Some(Secret::new(text.to_owned())),
        None => load_cli()?.webhook_secret,
    };
    text.context("give the subscription's secret in ONERING_WEBHOOK_SECRET (or with --secret)")
}

/// What a receiver verifies with: secrets, public keys, or both, with commas between.
pub(crate) fn receiver_keys(texts: &str) -> anyhow::Result<Vec<ReceiverKey>> {
    let key = |text: &str| {
        text.trim().parse().with_context(|| format!("{SECRET_OPTION} is neither a signing secret nor a public key"))
    };
    texts.split(',').map(key).collect()
}

/// What signs, and the schemes it signs in.
fn signing_keys(text: &str) -> anyhow::Result<(LiveSecrets, Vec<Scheme>)> {
    let wrong = || format!("{SECRET_OPTION} is neither a signing secret nor the secret half of a key pair");
    let is_asymmetric = |scheme: &Scheme| *scheme == Scheme::StandardWebhooksV1a;
    if text.starts_with(KeyPair::PREFIX) {
        let pair: KeyPair = text.parse().with_context(wrong)?;
        // The schemes with a secret are not asked for: whatever it is, nothing is signed with it.
        let unused = SigningSecret::from_entropy([0; 32]);
        let keys = SigningKeys { secret: unused, key_pair: Some(pair) };
        return Ok((keys.into(), vec![Scheme::StandardWebhooksV1a]));
    }
    let secret: SigningSecret = text.parse().with_context(wrong)?;
    Ok((secret.into(), Scheme::ALL.into_iter().filter(|scheme| !is_asymmetric(scheme)).collect()))
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
