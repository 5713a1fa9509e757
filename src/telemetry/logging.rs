//! Log lines on standard error: for people or as JSON, one record one line.
//!
//! The level comes from `RUST_LOG` (default `info`; libraries that talk much only from `warn`, unless they are
//! named: `RUST_LOG=info,sled=debug`). Structured fields come from log's `kv`. Whatever is in a message or a field,
//! control characters are escaped, so that nobody outside can write a line of their own.
//!
//! Lines are handed to a thread that writes many at once (`pipe`), so that no request waits for standard error. What
//! cannot be written is dropped and counted: a log that nobody reads must not stop the service. [`flush`] at the end.

mod pipe;

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::io::Write;
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::thread;

use env_logger::{Builder, Target};
use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{LevelFilter, Record};

use crate::escape;
use crate::escape::{Bare, InJsonString};
use pipe::Pipe;

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

/// The way to standard error, once logging has started.
static PIPE: OnceLock<Pipe> = OnceLock::new();

/// Starts logging to standard error, at the level that `RUST_LOG` says. A second call changes nothing.
pub fn init(format: Format) {
    let wish = std::env::var_os("RUST_LOG").unwrap_or_default();
    let wish = filters(&wish);
    let mut builder = Builder::new();
    builder.filter_level(LevelFilter::Info);
    for library in QUIET {
        builder.filter_module(library, LevelFilter::Warn);
    }
    // It says why a connection ended and not whose: `http::unread` and `app::serving` say both.
    builder.filter_module("actix_http::h1::dispatcher", LevelFilter::Off);
    if let Ok(wish) = wish
        && !wish.is_empty()
    {
        builder.parse_filters(wish);
    }
    builder.format(move |buffer, record| {
        let time = buffer.timestamp_millis().to_string();
        let mut text = Vec::with_capacity(LINE);
        line(&mut text, format, &time, record);
        buffer.write_all(&text)
    });
    // Without a thread for it, every line is written by whoever logs it: slower, but not lost.
    if let Ok(pipe) = Pipe::start(std::io::stderr()) {
        builder.target(Target::Pipe(Box::new(pipe.clone())));
        let _ = PIPE.set(pipe);
    }
    let started = builder.try_init().is_ok();
    if started {
        panic::set_hook(Box::new(log_panic));
    }
    if let Err(reason) = wish
        && started
    {
        log::warn!(reason = reason.as_str(); "RUST_LOG cannot be read; logging at info");
    }
}

/// Makes a panic of any thread one line like all others. The process may end with it, so it is waited for.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = thread::current();
    log::error!(
        target: "virksomhedslogin::panic",
        thread = thread.name().unwrap_or_default(), place = place.as_str();
        "a thread panicked: {text}"
    );
    flush();
}

/// What `RUST_LOG` asks for, or why it cannot be read.
///
/// Tried before it is used: the logger itself would complain with a print that panics on a closed stream.
fn filters(wish: &OsStr) -> Result<&str, String> {
    let wish = wish.to_str().ok_or("is not UTF-8")?;
    env_filter::Builder::new().try_parse(wish).map(|_| wish).map_err(|error| error.to_string())
}

/// Waits until what has been logged is written, but no longer than a second. To be called before the process ends.
pub(crate) fn flush() {
    if let Some(pipe) = PIPE.get() {
        pipe.drain();
    }
}

/// Most lines are not longer than this, in bytes.
const LINE: usize = 512;

/// Writes the line for one record, line feed included.
fn line(out: &mut Vec<u8>, format: Format, time: &str, record: &Record<'_>) {
    match format {
        Format::Text => text_line(out, time, record),
        Format::Json => json_line(out, time, record),
    }
    out.push(b'\n');
}

fn text_line(out: &mut Vec<u8>, time: &str, record: &Record<'_>) {
    let level = record.level().as_str();
    for part in [time, " ", level, &"      "[level.len()..], record.target(), " "] {
        escape::bare(out, part);
    }
    // Writing into memory does not fail, and a Display that does must not take the line with it.
    let _ = Bare(out).write_fmt(*record.args());
    let _ = record.key_values().visit(&mut TextFields(out));
}

fn json_line(out: &mut Vec<u8>, time: &str, record: &Record<'_>) {
    out.extend_from_slice(b"{\"time\":");
    escape::json_string(out, time);
    out.extend_from_slice(b",\"level\":");
    escape::json_string(out, record.level().as_str());
    out.extend_from_slice(b",\"target\":");
    escape::json_string(out, record.target());
    out.extend_from_slice(b",\"message\":\"");
    let _ = InJsonString(out).write_fmt(*record.args());
    out.push(b'"');
    let _ = record.key_values().visit(&mut JsonFields(out));
    out.push(b'}');
}

/// Whether a text can stand after `=` without quotes and still be told from its neighbours.
fn is_bare(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'=' | b'\\');
    let is_plain_letter =
        |letter: char| !letter.is_whitespace() && !letter.is_control() && !"\"=\\".contains(letter);
    !text.is_empty() && (text.bytes().all(is_plain) || text.chars().all(is_plain_letter))
}

/// Writes each field as ` key=value`.
struct TextFields<'a>(&'a mut Vec<u8>);

impl<'kvs> VisitSource<'kvs> for TextFields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.0.push(b' ');
        escape::bare(self.0, key.as_str());
        self.0.push(b'=');
        value.visit(&mut FieldValue { out: self.0, quoted: false })
    }
}

/// Writes each field as `,"key":value`.
struct JsonFields<'a>(&'a mut Vec<u8>);

impl<'kvs> VisitSource<'kvs> for JsonFields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        self.0.extend_from_slice(b",\"");
        let prefix = if OURS.contains(&key.as_str()) { "field_" } else { "" };
        let _ = write!(InJsonString(self.0), "{prefix}{key}");
        self.0.extend_from_slice(b"\":");
        value.visit(&mut FieldValue { out: self.0, quoted: true })
    }
}

/// Writes a field's value: numbers and truths as they are, all else as its text, which has quotes in JSON and
/// wherever it could be taken for more than one value.
struct FieldValue<'a> {
    out: &'a mut Vec<u8>,
    quoted: bool,
}

impl FieldValue<'_> {
    fn raw(&mut self, value: fmt::Arguments<'_>) -> Result<(), kv::Error> {
        self.out.write_fmt(value).map_err(|_| kv::Error::msg("a value that cannot be written"))
    }
}

impl VisitValue<'_> for FieldValue<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), kv::Error> {
        // A Display that fails must not take the line with it.
        let mut text = String::new();
        let _ = fmt::write(&mut text, format_args!("{value}"));
        self.visit_str(&text)
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.raw(format_args!("null"))
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), kv::Error> {
        self.raw(format_args!("{value}"))
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), kv::Error> {
        self.raw(format_args!("{value}"))
    }

    /// JSON has no number for what is not finite.
    fn visit_f64(&mut self, value: f64) -> Result<(), kv::Error> {
        if value.is_finite() { self.raw(format_args!("{value:?}")) } else { self.visit_null() }
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), kv::Error> {
        self.raw(format_args!("{value}"))
    }

    fn visit_str(&mut self, value: &str) -> Result<(), kv::Error> {
        if self.quoted || !is_bare(value) {
            escape::json_string(self.out, value);
        } else {
            self.out.extend_from_slice(value.as_bytes());
        }
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
        let mut text = Vec::new();
        line(&mut text, format, TIME, &builder.args(format_args!("{message}")).build());
        String::from_utf8(text).unwrap()
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
