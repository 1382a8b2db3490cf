//! From what a publisher sent to an event that can be written.

use bytes::Bytes;
use onering_clock::Clock;
use onering_ids::Recipient;
use onering_keys::{KeyRecord, Scope};
use onering_problem::{Code, Problem};
use onering_webhooks::{EventInput, IdempotencyKey, NewEvent, envelope};

use crate::ingest::{Claim, PreparedEvent};

/// Checks an event, decides whom it is for and gives it its id.
///
/// # Errors
/// A problem that names the field; `MISSING_SCOPE` for another partner's event without `publish:any`.
pub(crate) fn prepare_event(
    clock: &Clock,
    key: &KeyRecord,
    input: EventInput,
    idempotency_key: Option<IdempotencyKey>,
) -> Result<PreparedEvent, Problem> {
    let event = NewEvent::parse(input)?;
    let recipient = recipient(key, event.recipient.as_ref())?;
    let claim = idempotency_key.map(|idempotency_key| Claim {
        owner: key.owner_id.clone(),
        key: idempotency_key,
        digest: event.content_digest(&recipient),
    });
    let event_id = clock.fresh_id();
    let occurred_at = event.occurred_at.unwrap_or_else(|| clock.now());
    let body = Bytes::from(envelope(event_id, &event.event_type, occurred_at, &event.data));
    Ok(PreparedEvent {
        event_id,
        recipient,
        event_type: event.event_type,
        body,
        occurred_at,
        publisher: key.key_id,
        claim,
    })
}

/// The publisher itself, unless it may publish for others and does.
fn recipient(key: &KeyRecord, named: Option<&Recipient>) -> Result<Recipient, Problem> {
    match named {
        None => Ok(key.owner_id.clone().into()),
        Some(Recipient::Partner(owner)) if *owner == key.owner_id => Ok(owner.clone().into()),
        Some(other) if key.scopes.contains(&Scope::PUBLISH_ANY) => Ok(other.clone()),
        Some(_) => Err(Problem::new(Code::MissingScope)
            .field("owner_id")
            .detail(format!("The API key lacks the scope {}, which an event for others needs.", Scope::PUBLISH_ANY))),
    }
}

#[cfg(test)]
mod tests {
    use onering_ids::KeyId;
    use onering_keys::{ScopeSet, Tier};

    use super::*;

    fn key(scopes: &[&str]) -> KeyRecord {
        KeyRecord {
            key_id: KeyId::floor(1),
            owner_id: "acme".parse().unwrap(),
            name: String::new(),
            scopes: ScopeSet::parse(scopes).unwrap(),
            tier: Tier::Free,
            canary: false,
            is_active: true,
            blocked: false,
            revoked: false,
            expires_at: None,
            secret_expires_at: None,
            ip_allowlist: Vec::new(),
            rate_limit_override: None,
            burst_per_second: None,
            partner_active: true,
            partner_canary: false,
        }
    }

    fn prepared(scopes: &[&str], json: &str) -> Result<PreparedEvent, Problem> {
        let clock = Clock::manual("2026-11-22T01:02:03.456789Z".parse().unwrap());
        prepare_event(&clock, &key(scopes), serde_json::from_str(json).unwrap(), Some("k1".parse().unwrap()))
    }

    #[test]
    fn an_event_is_its_publishers_unless_it_may_publish_for_others() {
        let recipient = |scopes: &[&str], owner: &str| {
            let json = format!(r#"{{"event_type":"ring.forged","data":1,"owner_id":"{owner}"}}"#);
            prepared(scopes, &json).map(|event| event.recipient.to_string()).map_err(|problem| problem.code)
        };
        assert_eq!(recipient(&["write:events"], "acme"), Ok("acme".to_owned()));
        assert_eq!(recipient(&["write:events"], "other"), Err(Code::MissingScope));
        assert_eq!(recipient(&["write:events"], "*"), Err(Code::MissingScope));
        assert_eq!(recipient(&["publish:any"], "other"), Ok("other".to_owned()));
        assert_eq!(recipient(&["publish:any"], "*"), Ok("*".to_owned()));
        assert_eq!(prepared(&[], r#"{"event_type":"a","data":1}"#).unwrap().recipient.as_str(), "acme");
    }

    #[test]
    fn the_time_is_the_publishers_or_now_and_the_claim_is_the_publishing_partners() {
        let event = prepared(&[], r#"{"event_type":"a.b","data":{"n": 1.0}}"#).unwrap();
        let body = String::from_utf8(event.body.to_vec()).unwrap();
        let tail = r#","event_type":"a.b","timestamp":"2026-11-22T01:02:03.456Z","data":{"n": 1.0}}"#;
        assert_eq!(body, format!(r#"{{"event_id":"{}"{tail}"#, event.event_id));
        let earlier = prepared(&[], r#"{"event_type":"a","data":1,"occurred_at":"2020-01-01T00:00:00Z"}"#).unwrap();
        assert_eq!(earlier.occurred_at.to_rfc3339(), "2020-01-01T00:00:00+00:00");
        let claims = [event.claim.unwrap(), earlier.claim.unwrap()];
        assert_eq!(claims[0].owner.as_str(), "acme");
        assert_ne!(claims[0].digest, claims[1].digest);
    }
}
