//! JSON in which a duplicated member is seen instead of swallowed.
//!
//! Most readers keep the last of two members with the same name, some the first; a token or a request that
//! two programs read differently is how filters are passed (RFC 8259 §4, RFC 8725 §2.4). [`Json`] keeps every
//! member in the order in which it stood and leaves the judgement to the caller. Nesting is limited to
//! serde_json's 128 levels. Numbers keep serde_json's reading.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A JSON value that forgets nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object: its members in order, duplicates included.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads one JSON value that fills the whole text.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// The members, when this is an object.
    pub fn members(&self) -> Option<&[(String, Json)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The string, when this is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The name of a member that stands twice in one object, at any depth.
    pub fn duplicate(&self) -> Option<&str> {
        match self {
            Self::Object(members) => {
                duplicate_name(members).or_else(|| members.iter().find_map(|(_, value)| value.duplicate()))
            }
            Self::List(values) => values.iter().find_map(Self::duplicate),
            _ => None,
        }
    }
}

/// The first name that a later member repeats. Sorts beyond a handful of members, so that a hostile object costs
/// no quadratic time.
fn duplicate_name(members: &[(String, Json)]) -> Option<&str> {
    if members.len() <= 16 {
        return members
            .iter()
            .enumerate()
            .find(|(at, (name, _))| members[..*at].iter().any(|(earlier, _)| earlier == name))
            .map(|(_, (name, _))| name.as_str());
    }
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(serde_json::Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = access.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = access.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_are_seen_at_every_depth() {
        for (text, duplicate) in [
            (r#"{"a":1,"b":2}"#, None),
            (r#"{"a":1,"a":1}"#, Some("a")),
            (r#"{"a":1,"\u0061":2}"#, Some("a")),
            (r#"{"x":{"y":[{"z":1,"z":2}]}}"#, Some("z")),
            (r#"[{"a":1},{"a":1}]"#, None),
        ] {
            assert_eq!(Json::parse(text.as_bytes()).unwrap().duplicate(), duplicate, "{text}");
        }
        let many: String = (0..40).map(|number| format!(r#""n{}":0,"#, number % 39)).collect();
        let text = format!("{{{}}}", many.trim_end_matches(','));
        assert_eq!(Json::parse(text.as_bytes()).unwrap().duplicate(), Some("n0"));
        let many: String = (0..40).map(|number| format!(r#""n{number}":0,"#)).collect();
        let text = format!("{{{}}}", many.trim_end_matches(','));
        assert_eq!(Json::parse(text.as_bytes()).unwrap().duplicate(), None);
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        for text in ["", "{", "{}{}", "{} x", "{'a':1}", "{\"a\":01}", "nul", "\u{feff}{}", "{\"a\":\"\n\"}"]
        {
            assert!(Json::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(Json::parse(b"{\"a\":\"\xff\"}").is_err());
        assert!(Json::parse("[".repeat(200).as_bytes()).is_err());
    }

    #[test]
    fn every_kind_of_value_is_kept() {
        let json = Json::parse(br#"[null,true,-1,2,1.5,"x",[],{}]"#).unwrap();
        let number = |text| serde_json::from_str::<serde_json::Number>(text).unwrap();
        assert_eq!(
            json,
            Json::List(vec![
                Json::Null,
                Json::Bool(true),
                Json::Number(number("-1")),
                Json::Number(number("2")),
                Json::Number(number("1.5")),
                Json::Text("x".to_owned()),
                Json::List(vec![]),
                Json::Object(vec![]),
            ])
        );
    }
}
