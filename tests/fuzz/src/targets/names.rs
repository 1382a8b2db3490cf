use std::fmt::{Debug, Display};
use std::str::FromStr;

use onering_ids::{AdminKeyId, DeliveryId, EventId, KeyId, OwnerId, Recipient, SubscriptionId, TypedId};
use onering_keys::{Role, Scope, Tier};
use onering_rollout::{SourceValues, Switch, Value, resolve};
use onering_webhooks::{EventPattern, EventType};

use crate::Seen;

/// Ids and names: each thing has one text, and no id is of two kinds.
pub(super) fn ids(bytes: &[u8]) -> Seen {
    let text = String::from_utf8_lossy(bytes);
    let kinds = [
        id::<KeyId>(&text),
        id::<EventId>(&text),
        id::<SubscriptionId>(&text),
        id::<DeliveryId>(&text),
        id::<AdminKeyId>(&text),
    ];
    assert!(kinds.iter().filter(|is_one| **is_one).count() <= 1, "{text} is of two kinds");
    let named = [
        one_text::<OwnerId>(&text),
        one_text::<Recipient>(&text),
        one_text::<EventType>(&text),
        one_text::<EventPattern>(&text),
        one_text::<Scope>(&text),
        one_text::<Tier>(&text),
        one_text::<Role>(&text),
    ];
    if let (Ok(event_type), Ok(pattern)) = (text.parse::<EventType>(), text.parse::<EventPattern>()) {
        assert!(pattern.matches(&event_type), "a type is not met by itself");
    }
    Seen::of((kinds, named, text.len().min(130)))
}

fn id<I: TypedId>(text: &str) -> bool {
    let Ok(id) = text.parse::<I>() else { return false };
    assert_eq!((id.to_string().as_str(), I::from_uuid(id.uuid())), (text, id));
    true
}

/// What is taken prints as it was written.
fn one_text<T: FromStr + Display + PartialEq + Debug>(text: &str) -> bool {
    let Ok(value) = text.parse::<T>() else { return false };
    assert_eq!(value.to_string(), text);
    true
}

/// The content of a switch's file. A value comes back from its own text, space around it says nothing, and as an override it
/// can only narrow.
pub(super) fn flags(bytes: &[u8]) -> Seen {
    let text = String::from_utf8_lossy(bytes);
    let mut outcomes = Vec::new();
    for switch in Switch::ALL {
        let value = switch.parse_value(&text);
        assert_eq!(switch.parse_value(&format!("\n {text}\t")), value);
        if let Ok(value) = &value {
            let printed = match value {
                Value::OnOff(on) => u8::from(*on).to_string(),
                Value::Percent(percent) => percent.to_string(),
                Value::Text(salt) => salt.clone(),
            };
            assert_eq!(switch.parse_value(&printed).as_ref(), Ok(value));
        }
        outcomes.push(value.is_ok());
        outcomes.push(switch.parse_override(&text).is_ok());
    }
    narrows(&text);
    Seen::of((outcomes, text.trim().chars().count().min(130)))
}

/// With everything on, an override opens nothing.
fn narrows(text: &str) {
    let mut environment = SourceValues::default();
    for switch in [Switch::ExternalApi, Switch::Webhooks, Switch::Delivery] {
        environment.set(switch, "1").expect("1 is on");
    }
    let before = resolve(&environment, &SourceValues::default(), &SourceValues::default());
    for switch in Switch::ALL {
        let mut overrides = SourceValues::default();
        if overrides.set(switch, text).is_err() {
            continue;
        }
        let after = resolve(&environment, &SourceValues::default(), &overrides);
        assert!(
            after.external_api <= before.external_api
                && after.webhooks <= before.webhooks
                && after.delivery <= before.delivery
        );
        assert!(after.canary_only >= before.canary_only);
        assert!(
            after.api_cohort.percent <= before.api_cohort.percent && after.api_cohort.salt == before.api_cohort.salt
        );
    }
}
