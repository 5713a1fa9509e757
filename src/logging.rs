//! The format of log lines on standard error: for people or as JSON, one record one line.
//!
//! The level comes from `RUST_LOG` (default `info`; libraries that talk much only from `warn`, unless they are
//! named: `RUST_LOG=info,sled=debug`). Structured fields come from log's `kv`. Whatever is in a message or a field,
//! control characters are escaped, so that nobody outside can write a line of their own. What cannot be
//! written is dropped: a log that nobody reads must not stop the service.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::io::Write;

use env_logger::Builder;
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{LevelFilter, Record};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `TIME LEVEL target message key=value`
    Text,
    /// One JSON object: `time`, `level`, `target`, `message`, and each field under its own name.
    Json,
}

/// Libraries whose `info` and `debug` are about themselves. They speak when something is wrong.
const QUIET: [&str; 8] =
    ["sled", "actix_http", "actix_server", "actix_web", "mio", "rustls", "ureq", "ureq_proto"];

/// The members of a JSON line that no field may overwrite.
const OURS: [&str; 4] = ["time", "level", "target", "message"];

/// Starts logging to standard error, at the level that `RUST_LOG` says. A second call changes nothing.
pub fn init(format: Format) {
    let wish = std::env::var_os("RUST_LOG").unwrap_or_default();
    let wish = filters(&wish);
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Info);
    for library in QUIET {
        builder.filter_module(library, LevelFilter::Warn);
    }
    if let Ok(wish) = wish
        && !wish.is_empty()
    {
        builder.parse_filters(wish);
    }
    builder.format(move |buffer, record| {
        let time = buffer.timestamp_millis().to_string();
        buffer.write_all(line(format, &time, record).as_bytes())
    });
    let started = builder.try_init().is_ok();
    if let Err(reason) = wish
        && started
    {
        log::warn!(reason = reason.as_str(); "RUST_LOG cannot be read; logging at info");
    }
}

/// What `RUST_LOG` asks for, or why it cannot be read.
///
/// Tried before it is used: the logger itself would complain with a print that panics on a closed stream.
fn filters(wish: &OsStr) -> Result<&str, String> {
    let wish = wish.to_str().ok_or("is not UTF-8")?;
    env_filter::Builder::new().try_parse(wish).map(|_| wish).map_err(|error| error.to_string())
}

/// The line for one record, line feed included.
fn line(format: Format, time: &str, record: &Record<'_>) -> String {
    let mut line = match format {
        Format::Text => text_line(time, record),
        Format::Json => json_line(time, record),
    };
    line.push('\n');
    line
}

fn text_line(time: &str, record: &Record<'_>) -> String {
    let mut line = format!("{time} {:<5} {} {}", record.level(), record.target(), record.args());
    line = escaped(&line);
    let mut fields = Fields(Vec::new());
    let _ = record.key_values().visit(&mut fields);
    for (key, value) in fields.0 {
        let value = match value {
            serde_json::Value::String(text) if is_bare(&text) => text,
            other => escaped(&other.to_string()),
        };
        let _ = write!(line, " {}={value}", escaped(&key));
    }
    line
}

fn json_line(time: &str, record: &Record<'_>) -> String {
    let mut members = serde_json::Map::new();
    let mut put = |name: &str, value: String| members.insert(name.to_owned(), value.into());
    put("time", time.to_owned());
    put("level", record.level().to_string());
    put("target", record.target().to_owned());
    put("message", record.args().to_string());
    let mut fields = Fields(Vec::new());
    let _ = record.key_values().visit(&mut fields);
    for (key, value) in fields.0 {
        let key = if OURS.contains(&key.as_str()) { format!("field_{key}") } else { key };
        members.insert(key, value);
    }
    // serde_json escapes C0; what it leaves can only stand within a string, where \u is read as the same.
    escaped(&serde_json::Value::Object(members).to_string())
}

/// Whether a text can stand after `=` without quotes and still be told from its neighbours.
fn is_bare(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| !letter.is_whitespace() && !letter.is_control() && !"\"=\\".contains(letter))
}

/// The text with every character escaped that a terminal or a reader of lines could take for more than text.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            letter if letter.is_control() || matches!(letter, '\u{2028}' | '\u{2029}') => {
                let _ = write!(safe, "\\u{:04x}", u32::from(letter));
            }
            letter => safe.push(letter),
        }
    }
    safe
}

struct Fields(Vec<(String, serde_json::Value)>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let mut json = Json(serde_json::Value::Null);
        value.visit(&mut json)?;
        self.0.push((key.to_string(), json.0));
        Ok(())
    }
}

/// A field's value as JSON: numbers and truths stay what they are, all else is its text.
struct Json(serde_json::Value);

impl VisitValue<'_> for Json {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        // A Display that fails must not take the line with it.
        let mut text = String::new();
        let _ = fmt::write(&mut text, format_args!("{value}"));
        self.0 = text.into();
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.0 = serde_json::Value::Null;
        Ok(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        self.0 = value.into();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    const TIME: &str = "2026-11-23T08:15:30.123Z";

    fn render(format: Format, message: &str, fields: &[(&str, Value<'_>)]) -> String {
        let mut builder = Record::builder();
        builder.level(log::Level::Info).target("virksomhedslogin::http").key_values(&fields);
        line(format, TIME, &builder.args(format_args!("{message}")).build())
    }

    #[test]
    fn a_text_line_has_its_fields_after_the_message() {
        let fields =
            [("status", Value::from(204)), ("id", Value::from("a b")), ("method", Value::from("SetLogin"))];
        assert_eq!(
            render(Format::Text, "request", &fields),
            "2026-11-23T08:15:30.123Z INFO  virksomhedslogin::http request status=204 id=\"a b\" method=SetLogin\n"
        );
    }

    #[test]
    fn a_json_line_keeps_numbers_and_truths() {
        let fields = [("status", Value::from(204)), ("ok", Value::from(true)), ("level", Value::from("x"))];
        assert_eq!(
            render(Format::Json, "request", &fields),
            "{\"time\":\"2026-11-23T08:15:30.123Z\",\"level\":\"INFO\",\"target\":\"virksomhedslogin::http\",\
             \"message\":\"request\",\"status\":204,\"ok\":true,\"field_level\":\"x\"}\n"
        );
    }

    #[test]
    fn one_record_is_one_line_whatever_is_in_it() {
        let hostile: String = (0..=0x9f_u8).map(char::from).chain(['\u{2028}', '\u{2029}']).collect();
        for format in [Format::Text, Format::Json] {
            let fields = [("evil\n", Value::from(hostile.as_str()))];
            let line = render(format, &hostile, &fields);
            let body = line.strip_suffix('\n').unwrap();
            assert!(!body.contains(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}'), "{line}");
        }
    }

    #[test]
    fn what_was_escaped_in_json_reads_back_as_it_was() {
        let hostile = "a\u{7f}\u{85}\u{2028}\n\"\\";
        let line = render(Format::Json, hostile, &[]);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"], hostile);
    }

    #[test]
    fn a_level_that_cannot_be_read_is_told_and_not_used() {
        for good in ["", "debug", "info,sled=debug", "off"] {
            assert_eq!(filters(OsStr::new(good)), Ok(good));
        }
        for bad in [OsStr::new("sled=loud"), OsStr::new("info/(/x"), OsStr::from_bytes(&[0xff])] {
            assert!(filters(bad).is_err(), "{bad:?}");
        }
    }
}
