//! Reading a receiver's list: event ids, one a line, or JSON as the sink prints it. Streams: nothing is kept but the batch
//! in hand, whatever the length of the list or of a line.

use std::fmt;
use std::io::{BufRead, Read as _};

use anyhow::Context as _;
use onering_ids::EventId;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The longest line of a list of ids: more is none.
const LONGEST_LINE: u64 = 256;

/// Hands every event id of `list` to `found`. Where entries of JSON have a `status`, only those that the receiver answered
/// with 2xx count: what it refused it has not got.
pub(super) fn read(mut list: impl BufRead, found: &mut dyn FnMut(EventId) -> anyhow::Result<()>) -> anyhow::Result<()> {
    if is_json(&mut list)? { read_json(list, found) } else { read_lines(list, found) }
}

/// Whether the first character that is no white space opens a JSON value; it stays unread.
fn is_json(list: &mut impl BufRead) -> anyhow::Result<bool> {
    loop {
        let buffer = list.fill_buf().context("the list cannot be read")?;
        match buffer.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(at) => return Ok(matches!(buffer[at], b'{' | b'[' | b'"')),
            None if buffer.is_empty() => return Ok(false),
            None => {
                let blank = buffer.len();
                list.consume(blank);
            }
        }
    }
}

fn read_lines(mut list: impl BufRead, found: &mut dyn FnMut(EventId) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut line = String::new();
    for number in 1_u64.. {
        line.clear();
        let read = list.by_ref().take(LONGEST_LINE).read_line(&mut line);
        if read.with_context(|| format!("line {number} of the list cannot be read"))? == 0 {
            break;
        }
        let text = line.trim();
        if !text.is_empty() {
            let event = text
                .parse()
                .ok()
                .with_context(|| format!("line {number} of the list is no event id (evt_…), nor is the list JSON"))?;
            found(event)?;
        }
    }
    Ok(())
}

fn read_json(list: impl BufRead, found: &mut dyn FnMut(EventId) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut json = serde_json::Deserializer::from_reader(list);
    // One document, or many of them, one a line.
    loop {
        Entries(&mut *found).deserialize(&mut json).context("the list is not the JSON of a receiver")?;
        if json.end().is_ok() {
            return Ok(());
        }
    }
}

/// Event ids anywhere a receiver may put them: a text, a list, an entry with `event_id` (or `webhook-id`), or an answer that
/// holds `deliveries`.
struct Entries<'f>(&'f mut dyn FnMut(EventId) -> anyhow::Result<()>);

impl Entries<'_> {
    fn tell<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        let event = text.parse().map_err(|_| E::custom("an event id begins with evt_"))?;
        (self.0)(event).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Entries<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("event ids, or entries with an event_id")
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<(), E> {
        self.tell(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Entries(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut fields: A) -> Result<(), A::Error> {
        let (mut event, mut taken) = (None::<String>, true);
        while let Some(field) = fields.next_key::<String>()? {
            match field.as_str() {
                "event_id" | "webhook-id" => event = fields.next_value()?,
                "status" => taken = fields.next_value::<Status>()?.0,
                "deliveries" => fields.next_value_seed(Entries(&mut *self.0))?,
                _ => {
                    fields.next_value::<IgnoredAny>()?;
                }
            }
        }
        match event {
            Some(event) if taken => self.tell(&event),
            _ => Ok(()),
        }
    }
}

/// Whether the receiver took it: a number that is an HTTP status other than 2xx says that it did not.
struct Status(bool);

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let status = serde_json::Value::deserialize(deserializer).map_err(D::Error::custom)?;
        Ok(Self(status.as_u64().is_none_or(|status| (200..300).contains(&status))))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    const ONE: &str = "evt_01h455vb4pex5vsknk084sn02q";
    const TWO: &str = "evt_01h455vb4pex5vsknk084sn02r";

    fn ids(list: &str) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        // A small buffer, so that whatever is longer is met in parts.
        let list = BufReader::with_capacity(7, Cursor::new(list.to_owned()));
        read(list, &mut |event| {
            found.push(event.to_string());
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn lines_of_ids() {
        assert_eq!(ids(&format!("\n  {ONE}\r\n\n{TWO}")).unwrap(), [ONE, TWO]);
        assert!(ids("").unwrap().is_empty() && ids(" \n\n ").unwrap().is_empty());
        let refused = ids(&format!("{ONE}\ndlv_01h455vb4pex5vsknk084sn02q\n")).unwrap_err().to_string();
        assert!(refused.contains("line 2"), "{refused}");
        assert!(ids(&format!("{ONE}{}", "x".repeat(10_000))).is_err());
    }

    #[test]
    fn what_the_sink_prints() {
        let entry = |event: &str, status: u16| {
            format!(r#"{{"event_id":"{event}","status":{status},"headers":{{"webhook-id":"other"}},"body":"{{}}"}}"#)
        };
        let whole = format!(r#"{{"count":2,"deliveries":[{},{}]}}"#, entry(ONE, 200), entry(TWO, 401));
        assert_eq!(ids(&whole).unwrap(), [ONE], "what it refused it has not got");
        let lines = format!("{}\n{}\n", entry(ONE, 202), entry(TWO, 200));
        assert_eq!(ids(&lines).unwrap(), [ONE, TWO]);
        assert_eq!(ids(&format!("[\"{ONE}\", {{\"webhook-id\": \"{TWO}\"}}]")).unwrap(), [ONE, TWO]);
        let without = r#"{"deliveries":[{"event_id":null,"status":400},{"status":"received"}]}"#;
        assert!(ids(without).unwrap().is_empty(), "a request without an id is nobody's event");
    }

    #[test]
    fn what_is_neither_is_refused() {
        for list in ["{\"event_id\":\"nonsense\"}", "{\"event_id\":", "[1]", "nonsense", "{} nonsense"] {
            assert!(ids(list).is_err(), "{list}");
        }
    }

    #[test]
    fn whoever_takes_them_may_end_it() {
        let list = BufReader::new(Cursor::new(format!("[\"{ONE}\"]")));
        assert!(read(list, &mut |_| anyhow::bail!("the database is gone")).is_err());
    }
}
