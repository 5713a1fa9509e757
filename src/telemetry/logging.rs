//! Log lines on standard error, as text or JSON: one record, one line.
//!
//! `RUST_LOG` sets the level (default `info`; talkative libraries `warn`, unless it names them: `RUST_LOG=info,sled=debug`).
//! Structured fields come from log's `kv`. Control characters in messages and fields are escaped, so that no client can
//! forge a line. A thread writes the lines (`pipe`), so that no request waits for standard error: what cannot be written is
//! dropped and counted. [`flush`] before the process ends.

mod pipe;

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::io::Write;
use std::sync::OnceLock;

use env_logger::{Builder, Target};
use log::kv::{self, Key, VisitSource};
use log::{LevelFilter, Record};

use crate::escape::{self, to_json};
use pipe::Pipe;

/// The format of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `TIME LEVEL target message key=value`
    Text,
    /// One JSON object: `time`, `level`, `target`, `message`, and each field under its own name.
    Json,
}

/// Libraries whose `info` and `debug` are about themselves.
const QUIET: [&str; 8] =
    ["sled", "actix_http", "actix_server", "actix_web", "mio", "rustls", "ureq", "ureq_proto"];

/// The members of a JSON line beside the fields.
const OWN: [&str; 4] = ["time", "level", "target", "message"];
/// Most lines are not longer, in bytes.
const USUAL_LENGTH: usize = 640;

static PIPE: OnceLock<Pipe> = OnceLock::new();

/// Starts logging to standard error, at the level of `RUST_LOG`. A second call changes nothing.
pub fn init(format: Format) {
    let variable = std::env::var_os("RUST_LOG").unwrap_or_default();
    let filters = filters(&variable);
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Info);
    for library in QUIET {
        builder.filter_module(library, LevelFilter::Warn);
    }
    // It says why a connection ended and not whose: `api` and `server` log both.
    builder.filter_module("actix_http::h1::dispatcher", LevelFilter::Off);
    if let Ok(filters) = filters
        && !filters.is_empty()
    {
        builder.parse_filters(filters);
    }
    builder.format(move |buffer, record| {
        let time = buffer.timestamp_millis().to_string();
        buffer.write_all(&line(format, &time, record))
    });
    // Without the thread, each line is written by the thread that logs it.
    if let Ok(pipe) = Pipe::start(std::io::stderr()) {
        builder.target(Target::Pipe(Box::new(pipe.clone())));
        let _ = PIPE.set(pipe);
    }
    if builder.try_init().is_ok()
        && let Err(reason) = filters
    {
        log::warn!(reason = reason.as_str(); "RUST_LOG cannot be read; logging at info");
    }
}

/// The filters in `RUST_LOG`, parsed here first: the logger reports errors with a print that panics on a closed stream.
fn filters(variable: &OsStr) -> Result<&str, String> {
    let text = variable.to_str().ok_or("is not UTF-8")?;
    env_filter::Builder::new().try_parse(text).map(|_| text).map_err(|error| error.to_string())
}

/// Waits until every line so far is written, but no longer than a second.
pub(crate) fn flush() {
    if let Some(pipe) = PIPE.get() {
        pipe.drain();
    }
}

/// The line for one record, line feed included.
fn line(format: Format, time: &str, record: &Record<'_>) -> Vec<u8> {
    let (level, target, message) = (record.level(), record.target(), written(*record.args()));
    let mut line = Vec::with_capacity(USUAL_LENGTH);
    match format {
        Format::Text => {
            let padding = &"      "[level.as_str().len()..];
            for part in [time, " ", level.as_str(), padding, target, " "] {
                line.extend_from_slice(part.as_bytes());
            }
            escape::bare(&mut line, &message);
        }
        Format::Json => {
            for (name, value) in OWN.iter().zip([time, level.as_str(), target, &message]) {
                // Memory takes every byte.
                let _ = write!(line, "{}\"{name}\":", if line.is_empty() { '{' } else { ',' });
                to_json(&mut line, value);
            }
        }
    }
    let _ = record.key_values().visit(&mut Fields { format, line: &mut line });
    line.extend_from_slice(if format == Format::Json { b"}\n" } else { b"\n" });
    line
}

/// The text, as far as its `Display` succeeds; `format!` would panic.
fn written(arguments: fmt::Arguments<'_>) -> String {
    let mut text = String::new();
    let _ = text.write_fmt(arguments);
    text
}

/// Whether a text after `=` is one value without quotes.
fn is_bare(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\'))
}

/// Writes the fields of a record: numbers and truths as they are, all else as text.
struct Fields<'a> {
    format: Format,
    line: &'a mut Vec<u8>,
}

impl<'kvs> VisitSource<'kvs> for Fields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: kv::Value<'kvs>) -> Result<(), kv::Error> {
        let key = key.as_str();
        match self.format {
            Format::Text => {
                self.line.push(b' ');
                escape::bare(self.line, key);
                self.line.push(b'=');
            }
            Format::Json => {
                self.line.push(b',');
                let prefix = if OWN.contains(&key) { "field_" } else { "" };
                to_json(self.line, &format!("{prefix}{key}"));
                self.line.push(b':');
            }
        }
        if let Some(text) = value.to_borrowed_str() {
            self.text(text);
        } else if let Some(number) = value.to_i64() {
            to_json(self.line, &number);
        } else if let Some(number) = value.to_u64() {
            to_json(self.line, &number);
        } else if let Some(number) = value.to_f64() {
            to_json(self.line, &number);
        } else if let Some(truth) = value.to_bool() {
            to_json(self.line, &truth);
        } else {
            self.text(&written(format_args!("{value}")));
        }
        Ok(())
    }
}

impl Fields<'_> {
    fn text(&mut self, text: &str) {
        match self.format {
            Format::Text if is_bare(text) => self.line.extend_from_slice(text.as_bytes()),
            _ => to_json(self.line, text),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    const TIME: &str = "2026-11-23T08:15:30.123Z";

    fn render(format: Format, message: &str, fields: &[(&str, kv::Value<'_>)]) -> String {
        let mut builder = Record::builder();
        builder.level(log::Level::Info).target("virksomhedslogin::http").key_values(&fields);
        let line = line(format, TIME, &builder.args(format_args!("{message}")).build());
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn text_line_has_its_fields_after_the_message() {
        let fields = [
            ("status", kv::Value::from(204)),
            ("id", kv::Value::from("a b")),
            ("method", kv::Value::from("SetLogin")),
        ];
        assert_eq!(
            render(Format::Text, "request", &fields),
            "2026-11-23T08:15:30.123Z INFO  virksomhedslogin::http request status=204 id=\"a b\" method=SetLogin\n"
        );
    }

    #[test]
    fn json_line_keeps_numbers_and_truths() {
        let fields = [
            ("status", kv::Value::from(204)),
            ("ok", kv::Value::from(true)),
            ("level", kv::Value::from("x")),
        ];
        assert_eq!(
            render(Format::Json, "request", &fields),
            "{\"time\":\"2026-11-23T08:15:30.123Z\",\"level\":\"INFO\",\"target\":\"virksomhedslogin::http\",\
             \"message\":\"request\",\"status\":204,\"ok\":true,\"field_level\":\"x\"}\n"
        );
    }

    #[test]
    fn one_record_is_one_line_with_any_content() {
        let hostile: String = (0..=0x9f_u8).map(char::from).chain(['\u{2028}', '\u{2029}']).collect();
        for format in [Format::Text, Format::Json] {
            let fields = [("evil\n", kv::Value::from(hostile.as_str()))];
            let line = render(format, &hostile, &fields);
            let body = line.strip_suffix('\n').unwrap();
            assert!(!body.contains(|c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}'), "{line}");
        }
    }

    #[test]
    fn escaped_json_reads_back_unchanged() {
        let hostile = "a\u{7f}\u{85}\u{2028}\n\"\\";
        let line = render(Format::Json, hostile, &[]);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["message"], hostile);
    }

    #[test]
    fn unreadable_filters_are_rejected() {
        for good in ["", "debug", "info,sled=debug", "off"] {
            assert_eq!(filters(OsStr::new(good)), Ok(good));
        }
        for bad in [OsStr::new("sled=loud"), OsStr::new("info/(/x"), OsStr::from_bytes(&[0xff])] {
            assert!(filters(bad).is_err(), "{bad:?}");
        }
    }
}
