use onering_ids::SubscriptionId;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::event_type::EventType;

/// Which secrets sign the request of a test call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignWith {
    /// As any delivery: with both while a rotation overlaps.
    #[default]
    Both,
    /// With the current one alone, to see whether the receiver takes it.
    Current,
}

/// The data of the event `webhook.test`. How it is to be signed stands in it: so the order survives whatever way the
/// delivery takes to a worker, and the receiver sees what it was asked.
#[must_use]
pub fn test_data(webhook_id: SubscriptionId, sign_with: SignWith) -> Value {
    let mut data = json!({ "message": "A test from OneRing.", "webhook_id": webhook_id });
    if sign_with == SignWith::Current {
        data["sign_with"] = json!(sign_with);
    }
    data
}

/// How a delivery with this body is to be signed. Anything but a test that says otherwise is signed as usual.
#[must_use]
pub fn sign_with(event_type: &str, body: &[u8]) -> SignWith {
    #[derive(Deserialize)]
    struct Body {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        sign_with: SignWith,
    }
    if event_type != EventType::webhook_test().as_str() {
        return SignWith::Both;
    }
    serde_json::from_slice::<Body>(body).map_or(SignWith::Both, |body| body.data.sign_with)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(data: &Value) -> Vec<u8> {
        json!({ "event_id": "evt_1", "data": data }).to_string().into_bytes()
    }

    #[test]
    fn a_test_says_how_it_is_signed_and_nothing_else_does() {
        let id = SubscriptionId::floor(0);
        for asked in [SignWith::Both, SignWith::Current] {
            let body = body(&test_data(id, asked));
            assert_eq!(sign_with("webhook.test", &body), asked);
            assert_eq!(sign_with("ring.forged", &body), SignWith::Both);
        }
    }

    #[test]
    fn what_is_no_order_is_none() {
        for data in [json!({}), json!("current"), json!({ "sign_with": "previous" }), json!({ "sign_with": 1 })] {
            assert_eq!(sign_with("webhook.test", &body(&data)), SignWith::Both, "{data}");
        }
        assert_eq!(sign_with("webhook.test", b"\xff"), SignWith::Both);
    }
}
