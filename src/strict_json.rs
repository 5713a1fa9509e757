//! JSON in which a duplicate member is seen instead of dropped.
//!
//! Readers differ in which of two members of one name they keep, and a token or request that two programs read
//! differently passes filters (RFC 8259 §4, RFC 8725 §2.4). [`parse`] rejects them. [`Raw`] keeps them, and reads only what
//! it is asked for: the rest must be JSON and may hold what no [`Value`] can, a number beyond every float or half of a
//! surrogate pair.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// Maximum nesting of arrays and objects in a [`Raw`].
const MAX_DEPTH: usize = 128;

/// The text without the UTF-8 byte order mark that some editors and programs write (RFC 8259 §8.1 lets a reader skip it).
pub(crate) fn without_byte_order_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// The one JSON value that fills the whole text, at most 128 deep. Where a member occurs twice in one object, the error is
/// one of data ([`serde_json::Error::is_data`]), and only there.
pub(crate) fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(text).map(|Unique(value)| value)
}

/// A value in which no object has a member twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = access.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut members = serde_json::Map::new();
        while let Some((name, Unique(value))) = access.next_entry()? {
            if members.insert(name, value).is_some() {
                return Err(A::Error::custom("a member occurs twice"));
            }
        }
        Ok(Value::Object(members))
    }
}

/// A JSON value as it is written: known to be JSON, not yet read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'a>(&'a RawValue);

impl<'a> Raw<'a> {
    /// The one JSON value that fills the whole text (RFC 8259): UTF-8, and at most 128 deep.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        // serde_json does not check skipped text for UTF-8.
        let value = serde_json::from_str(str::from_utf8(text).ok()?).ok()?;
        (!is_too_deep(text)).then_some(Self(value))
    }

    /// The members in order, duplicates included, when this is an object.
    pub(crate) fn members(self) -> Option<Vec<(String, Self)>> {
        serde_json::from_str(self.0.get()).ok().map(|Members(members)| members)
    }

    /// The string, when this is one. One that is no Unicode text is `None` within.
    pub(crate) fn text(self) -> Option<Option<String>> {
        let text = self.0.get();
        text.starts_with('"').then(|| serde_json::from_str(text).ok())
    }
}

/// Whether more than [`MAX_DEPTH`] arrays and objects stand in each other in this JSON text.
fn is_too_deep(text: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    text.iter().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    })
}

struct Members<'a>(Vec<(String, Raw<'a>)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = access.next_entry::<&RawValue, &RawValue>()? {
            // A name that is no Unicode text is none of ours, and stays as it is written.
            let name = serde_json::from_str(name.get()).unwrap_or_else(|_| name.get().to_owned());
            members.push((name, Raw(value)));
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_strings() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        for text in [nested(128), format!(r#"["{}","\\\"[",{}]"#, "[".repeat(300), nested(127))] {
            assert!(Raw::parse(text.as_bytes()).is_some(), "{text}");
        }
        for text in [nested(129), nested(8_000), format!(r#"{{"a\"":{}}}"#, nested(128))] {
            assert!(Raw::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn members_are_kept_as_they_are_written() {
        let text = br#"{"a":1e999,"\u0061":"\ud800","\ud800":{},"b":"\u0062"}"#;
        let members = Raw::parse(text).unwrap().members().unwrap();
        let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "a", r#""\ud800""#, "b"]);
        let texts: Vec<_> = members.iter().map(|(_, value)| value.text()).collect();
        assert_eq!(texts, [None, Some(None), None, Some(Some("b".to_owned()))]);
        assert!(Raw::parse(b"[]").unwrap().members().is_none());
    }

    #[test]
    fn duplicates_are_seen_at_every_depth() {
        let has_duplicate = |text: &str| parse(text.as_bytes()).is_err_and(|error| error.is_data());
        for (text, duplicate) in [
            (r#"{"a":1,"b":2}"#, false),
            (r#"{"a":1,"a":1}"#, true),
            (r#"{"a":1,"\u0061":2}"#, true),
            (r#"{"x":{"y":[{"z":1,"z":2}]}}"#, true),
            (r#"[{"a":1},{"a":1}]"#, false),
        ] {
            assert_eq!(has_duplicate(text), duplicate, "{text}");
        }
        for (different, duplicate) in [(39, true), (40, false)] {
            let many: String = (0..40).map(|number| format!(r#""n{}":0,"#, number % different)).collect();
            assert_eq!(has_duplicate(&format!("{{{}}}", many.trim_end_matches(','))), duplicate);
        }
    }

    #[test]
    fn what_is_not_one_json_value_is_rejected() {
        for text in ["", "{", "{}{}", "{} x", "{'a':1}", "{\"a\":01}", "nul", "\u{feff}{}", "{\"a\":\"\n\"}"]
        {
            assert!(parse(text.as_bytes()).is_err_and(|error| !error.is_data()), "{text:?}");
        }
        assert!(parse(b"{\"a\":\"\xff\"}").is_err_and(|error| !error.is_data()));
        assert!(parse("[".repeat(200).as_bytes()).is_err_and(|error| !error.is_data()));
    }

    #[test]
    fn every_kind_of_value_is_kept() {
        let json = parse(br#"[null,true,-1,2,1.5,"x",[],{"b":1,"a":2}]"#).unwrap();
        assert_eq!(json, serde_json::json!([null, true, -1, 2, 1.5, "x", [], {"b": 1, "a": 2}]));
    }
}
