use onering_keys::{AdminToken, ApiToken};
use onering_signing::{
    Freshness, KeyPair, LiveSecrets, ReceiverKey, Scheme, Schemes, SigningInput, SigningKeys, SigningSecret, Verifier,
    VerifyError, header, is_signable_id, sign,
};
use onering_webhooks::IdempotencyKey;

use super::lines;
use crate::Seen;

/// Tokens, and the `Authorization` headers they come in.
///
/// A token that is taken is the text it came as and opens the digest that is stored; one changed character and it is none.
/// Two headers, or another scheme, present nothing.
pub(super) fn access_token(bytes: &[u8]) -> Seen {
    let lines = lines(bytes);
    let text = lines[0].as_str();
    let taken = ApiToken::parse(text);
    match &taken {
        Ok(token) => {
            assert_eq!(token.expose(), text);
            assert_eq!(Ok(token.digest()), ApiToken::digest_of(text));
            assert!(!format!("{token:?}").contains(&text[8..]), "Debug shows a token");
            assert!(AdminToken::parse(text).is_err());
        }
        Err(error) => assert_eq!(ApiToken::digest_of(text), Err(*error)),
    }
    made_token(bytes);
    let headers: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let presented = api_gateway::reading::presented_token(&headers);
    if let Some(digest) = presented {
        let (scheme, token) = lines[0].split_once(' ').expect("a scheme and a token");
        assert!(headers.len() == 1 && scheme.eq_ignore_ascii_case("bearer"));
        assert_eq!(ApiToken::digest_of(token.trim()), Ok(digest));
    }
    Seen::of((taken.is_ok(), taken.err().map(|error| error.to_string()), presented.is_some(), headers.len().min(2)))
}

/// A token made of these bytes is good, and not with another character anywhere.
fn made_token(bytes: &[u8]) {
    let mut entropy = [0; 32];
    entropy.iter_mut().zip(bytes).for_each(|(into, byte)| *into = *byte);
    let token = ApiToken::from_entropy(entropy);
    assert_eq!(ApiToken::parse(token.expose()).map(|again| again.digest()), Ok(token.digest()));
    let mut changed = token.expose().to_owned().into_bytes();
    let at = usize::from(bytes.first().copied().unwrap_or_default()) % changed.len();
    changed[at] = if changed[at] == b'7' { b'8' } else { b'7' };
    assert!(ApiToken::parse(&String::from_utf8(changed).unwrap()).is_err(), "a changed token is taken");
}

/// An `Idempotency-Key` that is taken is what was sent, within its bounds.
pub(super) fn idempotency_key(bytes: &[u8]) -> Seen {
    let text = String::from_utf8_lossy(bytes);
    let taken = text.parse::<IdempotencyKey>();
    if let Ok(key) = &taken {
        assert_eq!((key.as_str(), key.to_string().as_str()), (&*text, &*text));
        assert!(
            (1..=IdempotencyKey::MAX_LENGTH).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        );
    }
    Seen::of((taken.is_ok(), text.len().min(IdempotencyKey::MAX_LENGTH + 1), text.is_ascii()))
}

/// Who verifies, and a genuine request: signed now by both secrets of a rotation.
struct Genuine {
    verifier: Verifier,
    headers: Vec<(String, String)>,
    now: i64,
}

/// Requests whose headers were changed on their way.
///
/// The first two lines are the event's id and the stamp, the third is the body, each further one `name: value` replaces a header
/// of the genuine request (`$` in it stands for the genuine value). Unchanged it verifies under every scheme. However it is
/// changed, what verifies is the id and the stamp that were signed.
pub(super) fn signature(bytes: &[u8]) -> Seen {
    let lines = lines(bytes);
    let line = |number: usize| lines.get(number).map(String::as_str).unwrap_or_default();
    let (id, stamp, body) = (line(0), line(1).parse::<i64>().unwrap_or(1_700_000_000), line(2).as_bytes());
    // Stamps of requests that are sent are of our clock.
    if !is_signable_id(id) || stamp < 0 {
        return Seen::of("not to be signed");
    }
    let genuine = Genuine::of(id, stamp, body);
    let changed: Vec<(String, String)> =
        lines.iter().skip(3).filter_map(|line| change(&genuine.headers, line)).collect();
    let mut outcomes = Vec::new();
    for scheme in Scheme::ALL {
        let whole = genuine.verify(scheme, &genuine.headers, body).expect("a genuine request verifies");
        assert_eq!((whole.1, whole.0.is_none_or(|signed| signed == id)), (stamp, true));
        let mut headers = changed.clone();
        headers.extend(
            genuine.headers.iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name)).cloned(),
        );
        let outcome = genuine.verify(scheme, &headers, body);
        if let Ok((signed_id, signed_at)) = &outcome {
            assert_eq!(
                (*signed_at, signed_id.as_deref().is_none_or(|signed| signed == id)),
                (stamp, true),
                "{headers:?}"
            );
        }
        assert!(genuine.verify(scheme, &headers, &[body, b"."].concat()).is_err(), "another body verifies");
        outcomes.push(outcome.map(|_| ()).map_err(|error| error.to_string()));
    }
    Seen::of(outcomes)
}

impl Genuine {
    fn of(id: &str, stamp: i64, body: &[u8]) -> Self {
        let keys = |fill| {
            let key_pair = Some(KeyPair::from_entropy([fill; 32]));
            SigningKeys { secret: SigningSecret::from_entropy([fill; 32]), key_pair }
        };
        let secrets = LiveSecrets { current: keys(1), previous: Some(keys(2)) };
        let schemes = Schemes::new(Scheme::ALL).expect("there are schemes");
        let signed = sign(&secrets, schemes, &SigningInput { event_id: id, unix_s: stamp, body });
        let mut headers: Vec<_> = signed.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        headers.push((header::EVENT_ID.to_owned(), id.to_owned()));
        // The current keys verify all of them, whatever stands beside their signatures.
        let LiveSecrets { current: SigningKeys { secret, key_pair }, .. } = secrets;
        let public = key_pair.map(|pair| ReceiverKey::from(pair.public_key()));
        let known = std::iter::once(ReceiverKey::from(secret)).chain(public);
        let verifier = Verifier::knowing(known).fresh(Freshness::default());
        Self { verifier, headers, now: stamp }
    }

    fn verify(
        &self,
        scheme: Scheme,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<(Option<String>, i64), VerifyError> {
        let find = |name: &'static str| {
            headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
        };
        let verified = self.verifier.verify(scheme, find, body, self.now)?;
        Ok((verified.event_id.map(str::to_owned), verified.unix_s))
    }
}

fn change(genuine: &[(String, String)], line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(": ")?;
    let (known, before) = genuine.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    Some((known.clone(), value.replace('$', before)))
}
