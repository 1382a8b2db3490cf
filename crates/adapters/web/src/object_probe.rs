//! Whether a type wants a JSON object.

use serde::de::value::Error;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};

/// Whether `T` is read from an object. serde also reads structs from arrays, field by field in the order of their
/// declaration, which is no promise of any contract.
pub(crate) fn wants_object<T: DeserializeOwned>() -> bool {
    let mut asked_for_object = false;
    let _ = T::deserialize(Probe(&mut asked_for_object));
    asked_for_object
}

/// Notes what is asked of it and fails.
struct Probe<'a>(&'a mut bool);

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("a probe has no value"))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        *self.0 = true;
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_map(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Fields {
        #[expect(dead_code, reason = "only its type matters here")]
        one: u8,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only its type matters here")]
    struct Wrapped(Fields);

    #[test]
    fn structs_and_maps_do_and_the_rest_does_not() {
        assert!(wants_object::<Fields>() && wants_object::<Wrapped>() && wants_object::<BTreeMap<String, u8>>());
        assert!(!wants_object::<Vec<Fields>>() && !wants_object::<u8>() && !wants_object::<serde_json::Value>());
    }
}
