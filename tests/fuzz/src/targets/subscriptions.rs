use onering_web::parse_json;
use onering_webhooks::{
    CustomHeaders, Filter, NewSubscription, SubscriptionChange, SubscriptionInput, SubscriptionPatch, TargetUrl, bounds,
};
use serde_json::Value;

use super::refusals;
use crate::Seen;

/// A subscription and, of the same bytes, a change of one. No number is beyond its bound, no header is ours or broken, and the URL
/// is one that comes back as itself.
pub(super) fn subscription(bytes: &[u8]) -> Seen {
    let made = parse_json::<SubscriptionInput>(bytes).and_then(NewSubscription::parse);
    let changed = parse_json::<SubscriptionPatch>(bytes).and_then(SubscriptionChange::parse);
    let made = match made {
        Ok(made) => taken(&made),
        Err(problem) => refusals::check(&problem),
    };
    let changed = match changed {
        Ok(change) => taken_change(&change),
        Err(problem) => refusals::check(&problem),
    };
    Seen::of((made, changed))
}

fn taken(made: &NewSubscription) -> Seen {
    let settings = &made.settings;
    url(&settings.url);
    headers(&settings.headers);
    assert!(bounds::EVENTS.contains(&settings.events.len()));
    assert!(settings.events.iter().all(|pattern| pattern.as_str().parse().as_ref() == Ok(pattern)));
    assert!(settings.description.chars().count() <= bounds::DESCRIPTION);
    assert!(bounds::TIMEOUT_SECONDS.contains(&seconds(settings.timeout)));
    assert!(bounds::MAX_IN_FLIGHT.contains(&i64::from(settings.max_in_flight)));
    assert!(settings.rate_limit_per_second.is_none_or(|rate| bounds::RATE_LIMIT_PER_SECOND.contains(&i64::from(rate))));
    assert!(settings.max_event_age.is_none_or(|age| bounds::MAX_EVENT_AGE_SECONDS.contains(&seconds(age))));
    assert!(settings.signature_schemes.iter().next().is_some(), "nothing is sent unsigned");
    settings.filter.as_ref().map(survives);
    Seen::of((
        settings.events.len().min(3),
        settings.headers.names().count(),
        settings.filter.is_some(),
        settings.rate_limit_per_second.is_some(),
        settings.max_event_age.is_some(),
    ))
}

fn taken_change(change: &SubscriptionChange) -> Seen {
    change.url.as_ref().map(url);
    change.headers.as_ref().map(headers);
    assert!(change.events.as_ref().is_none_or(|events| bounds::EVENTS.contains(&events.len())));
    assert!(change.timeout.is_none_or(|timeout| bounds::TIMEOUT_SECONDS.contains(&seconds(timeout))));
    assert!(change.max_in_flight.is_none_or(|most| bounds::MAX_IN_FLIGHT.contains(&i64::from(most))));
    change.filter.as_ref().and_then(Option::as_ref).map(survives);
    Seen::of((
        change.url.is_some(),
        change.events.is_some(),
        change.headers.is_some(),
        change.filter.is_some(),
        change.status.is_some(),
    ))
}

fn seconds(duration: std::time::Duration) -> i64 {
    assert_eq!(duration.subsec_nanos(), 0);
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn url(url: &TargetUrl) {
    assert!(url.as_str().len() <= TargetUrl::MAX_LENGTH && url.as_str().is_ascii(), "{}", url.as_str());
    assert_eq!(url.as_str().parse::<TargetUrl>().as_ref(), Ok(url), "its own text is another target");
    let parsed = url.url();
    assert!(matches!(parsed.scheme(), "http" | "https") && parsed.has_host());
    assert!(parsed.username().is_empty() && parsed.password().is_none() && parsed.fragment().is_none());
}

fn headers(headers: &CustomHeaders) {
    assert!(headers.names().count() <= CustomHeaders::MAX_COUNT);
    for (name, value) in headers.expose() {
        assert!(name.len() <= CustomHeaders::MAX_NAME_LENGTH && value.len() <= CustomHeaders::MAX_VALUE_LENGTH);
        assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase() || byte.is_ascii_whitespace() || byte == b':'));
        assert!(!value.bytes().any(|byte| byte.is_ascii_control()), "a value could end its line");
        assert!(!["host", "content-length", "transfer-encoding"].contains(&name) && !name.starts_with("webhook-"));
    }
}

/// A filter on the first line, data on the second. A filter that is taken is the JSON it came as; read from its row it decides
/// the same.
pub(super) fn filter(bytes: &[u8]) -> Seen {
    let (filter, data) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &b"null"[..]),
    };
    let (Ok(value), Ok(data)) = (parse_json::<Value>(filter), parse_json::<Value>(data)) else {
        return Seen::of("no JSON");
    };
    match Filter::parse(&value) {
        Ok(filter) => {
            assert_eq!(filter.to_json(), value);
            let again = survives(&filter);
            assert_eq!(again.matches(&data), filter.matches(&data));
            let conditions = value
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, list)| list[0].as_object().map(|object| object.keys().next().cloned()));
            Seen::of((filter.matches(&data), conditions.collect::<Vec<_>>()))
        }
        Err(error) => Seen::of((error.rule, error.at.contains('['))),
    }
}

fn survives(filter: &Filter) -> Filter {
    let row = filter.to_json();
    let again = Filter::parse(&serde_json::from_str(&row.to_string()).expect("a row is JSON"))
        .expect("a filter's own JSON is one");
    assert_eq!(&again, filter);
    again
}
