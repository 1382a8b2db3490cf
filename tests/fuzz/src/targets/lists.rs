use std::fmt::Debug;

use onering_ids::{AuditId, DeliveryId, KeyId, OwnerId};
use onering_problem::Code;
use onering_web::{Cursor, CursorKey, Limit, parse_query};
use onering_webhook_operations::{DeliveryQuery, SubscriptionQuery};

use super::refusals;
use crate::Seen;

/// A cursor that is taken is the one text of its key, and is a cursor of no other list.
pub(super) fn cursor(bytes: &[u8]) -> Seen {
    let text = String::from_utf8_lossy(bytes);
    let taken = [
        is_taken::<KeyId>(&text),
        is_taken::<AuditId>(&text),
        is_taken::<DeliveryId>(&text),
        is_taken::<OwnerId>(&text),
    ];
    assert!(taken.iter().filter(|taken| **taken).count() <= 1, "{text} is a cursor of two lists");
    if let Ok(owner) = text.parse::<OwnerId>() {
        let printed = Cursor::new(owner.clone()).to_string();
        assert_eq!(printed.parse(), Ok(Cursor::new(owner)));
        // The name of a partner can be that of a key.
        assert!(!is_taken::<KeyId>(&printed) && !is_taken::<AuditId>(&printed), "{text} continues two lists");
    }
    Seen::of((taken, text.len().min(40)))
}

fn is_taken<K: CursorKey + Clone + PartialEq + Debug>(text: &str) -> bool {
    let Ok(cursor) = text.parse::<Cursor<K>>() else { return false };
    assert_eq!(cursor.to_string(), text);
    true
}

/// Query strings of lists. What is refused is 400 and names the parameter; what is taken has a limit within its bounds.
pub(super) fn query(bytes: &[u8]) -> Seen {
    let text = String::from_utf8_lossy(bytes);
    let deliveries = match parse_query::<DeliveryQuery>(&text) {
        Ok(query) => {
            assert!((1..=usize::from(Limit::MAX)).contains(&query.limit.get()));
            assert!(!query.event_type.as_deref().is_some_and(|text| text.contains('\0')));
            Seen::of((
                query.status,
                query.from.is_some(),
                query.to.is_some(),
                query.cursor.is_some(),
                query.webhook_id.is_some(),
            ))
        }
        Err(problem) => {
            assert!(matches!(problem.code, Code::InvalidQuery | Code::InvalidCursor), "{problem}");
            refusals::check(&problem)
        }
    };
    let subscriptions = parse_query::<SubscriptionQuery>(&text).map(|query| query.limit.get());
    assert!(subscriptions.as_ref().map_or_else(|problem| problem.status() == 400, |limit| (1..=200).contains(limit)));
    Seen::of((deliveries, subscriptions.is_ok()))
}
