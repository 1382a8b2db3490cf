use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Answers the event id of a genuine, fresh request. `signature` is the header X-Webhook-Signature.
pub fn verify(secret: &str, signature: &str, body: &[u8], now: i64) -> Result<String, &'static str> {
    let field = |name: &str| {
        signature
            .split(',')
            .filter_map(|part| part.split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value)
    };
    let (stamp, event_id) = (field("t").ok_or("no stamp")?, field("e").ok_or("no event id")?);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map_err(|_| "no secret")?;
    mac.update(format!("{stamp}.{event_id}.").as_bytes());
    mac.update(body);
    let fits = ["v1", "v1p"]
        .iter()
        .filter_map(|name| hex::decode(field(name)?).ok())
        .any(|given| mac.clone().verify_slice(&given).is_ok());
    if !fits {
        return Err("the signature does not fit");
    }
    let age = now.saturating_sub(stamp.parse().map_err(|_| "the stamp is not a number")?);
    if !(-30..=300).contains(&age) {
        return Err("the stamp is too old or in the future");
    }
    Ok(event_id.to_owned())
}
