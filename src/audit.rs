//! The audit line: who asked for what, and whether they were let in (docs/INTERFACE.md, "Audit line").
//!
//! One JSON object per call that reached a method, or `/export`, written before the answer is sent. Nothing that came from
//! outside can break the line. Neither a token nor a part of one ever stands in it.

use std::fmt::{self, Write as _};

use actix_web::http::StatusCode;

use crate::auth::Caller;
use crate::domain::cvr::Cvr;
use crate::domain::timestamp::Timestamp;
use crate::escape::{InJsonString, json_string, shortened};
use peer::Peer;

pub(crate) use file::{WIDEST_MODE, wide_mode};
pub use sink::AuditLog;
pub use writer::AuditWriter;

mod file;
pub(crate) mod peer;
mod sink;
mod writer;

/// The longest `aarsag`, in characters. A rule of our own is shorter; a cause may quote a database.
const MAX_REASON: usize = 1024;
/// The longest `sub` and `clientId`, in characters.
const MAX_NAME: usize = 256;
/// The longest other claim, in characters; every one that lets anybody in is shorter.
pub(crate) const MAX_CLAIM: usize = 64;
/// Most access modes in a line; there are half as many.
const MAX_MODES: usize = 16;

/// What one audit line says.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// When the answer was ready.
    pub time: Timestamp,
    /// The method that was reached, as the line names it.
    pub method: &'a str,
    /// The answer's status.
    pub status: StatusCode,
    /// The answer's `fejlkode`, when it is an error.
    pub code: Option<&'static str>,
    /// Who called.
    pub remote: Peer,
    /// The request's id.
    pub request_id: &'a str,
    /// The trace that it belongs to.
    pub trace_id: &'a str,
    /// Whether the caller was authorised.
    pub authorised: bool,
    /// The rule that decided, or why the service failed.
    pub reason: Option<&'a str>,
    /// The company asked for.
    pub cvr: Option<Cvr>,
    /// Who called, when the token was good.
    pub caller: Option<&'a Caller>,
}

impl Entry<'_> {
    /// `tilladt`: the caller was let in, whatever came of the request; `afvist`: refused at the door;
    /// `fejl`: the service could not do its part.
    fn outcome(&self) -> &'static str {
        match (self.status.is_server_error(), self.authorised) {
            (true, _) => "fejl",
            (false, true) => "tilladt",
            (false, false) => "afvist",
        }
    }

    /// The line, line feed included.
    pub(crate) fn line(&self) -> Vec<u8> {
        let caller = self.caller;
        let digits = self.cvr.map(Cvr::digits);
        let mut line = Line::new();
        line.text("tid", ascii(&self.time.write()));
        line.text("requestId", self.request_id);
        line.text("metode", self.method);
        line.text("udfald", self.outcome());
        line.raw("status", self.status.as_str());
        line.optional("fejlkode", self.code);
        line.claim("aarsag", self.reason, MAX_REASON);
        line.optional("cvrNummer", digits.as_ref().map(|digits| ascii(digits)));
        line.text("traceId", self.trace_id);
        line.claim("sub", caller.and_then(|caller| caller.subject.as_deref()), MAX_NAME);
        line.claim("clientId", caller.and_then(|caller| caller.client_id.as_deref()), MAX_NAME);
        line.claim(
            "organisationType",
            caller.and_then(|caller| caller.organisation_type.as_deref()),
            MAX_CLAIM,
        );
        line.claim(
            "organisationCode",
            caller.and_then(|caller| caller.organisation_code.as_deref()),
            MAX_CLAIM,
        );
        line.claims("adgang", caller.map(|caller| caller.access.as_slice()).unwrap_or_default());
        line.claim("aktoerCvr", caller.and_then(|caller| caller.acting_cvr.as_deref()), MAX_CLAIM);
        line.formatted("remote", format_args!("{}", self.remote));
        line.close()
    }
}

/// The line that stands for so many calls without a good token that have none of their own (`api::denied_calls`): a refused
/// call's line with `antal`, their number. `remote` is where most of them came from.
pub(crate) fn summary(time: Timestamp, status: StatusCode, code: &str, calls: u64, remote: &str) -> Vec<u8> {
    let mut line = Line::new();
    line.text("tid", ascii(&time.write()));
    line.raw("requestId", "null");
    line.raw("metode", "null");
    line.text("udfald", "afvist");
    line.raw("status", status.as_str());
    line.text("fejlkode", code);
    line.text("aarsag", "more refused calls than limits.refused_per_second allows");
    for unknown in ["cvrNummer", "traceId", "sub", "clientId", "organisationType", "organisationCode"] {
        line.raw(unknown, "null");
    }
    line.claims("adgang", &[]);
    line.raw("aktoerCvr", "null");
    line.text("remote", remote);
    line.raw("antal", &calls.to_string());
    line.close()
}

/// Digits and marks that were just written; they are ASCII.
fn ascii(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

/// A JSON object being written.
#[derive(Debug)]
struct Line(Vec<u8>);

impl Line {
    /// Most lines are not longer than this, in bytes.
    const USUAL: usize = 640;

    fn new() -> Self {
        Self(Vec::with_capacity(Self::USUAL))
    }

    /// The names are ours and need no escapes.
    fn name(&mut self, name: &str) {
        self.0.extend_from_slice(if self.0.is_empty() { b"{\"" } else { b",\"" });
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b"\":");
    }

    fn formatted(&mut self, name: &str, value: fmt::Arguments<'_>) {
        self.name(name);
        self.0.push(b'"');
        // Writing into memory does not fail.
        let _ = InJsonString(&mut self.0).write_fmt(value);
        self.0.push(b'"');
    }

    fn raw(&mut self, name: &str, value: &str) {
        self.name(name);
        self.0.extend_from_slice(value.as_bytes());
    }

    fn text(&mut self, name: &str, value: &str) {
        self.name(name);
        json_string(&mut self.0, value);
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        match value {
            Some(value) => self.text(name, value),
            None => self.raw(name, "null"),
        }
    }

    /// What a token or a cause says, of so many characters at most.
    fn claim(&mut self, name: &str, value: Option<&str>, most: usize) {
        self.optional(name, value.map(|value| shortened(value, most)).as_deref());
    }

    fn claims(&mut self, name: &str, values: &[String]) {
        self.name(name);
        self.0.push(b'[');
        for (index, value) in values.iter().take(MAX_MODES).enumerate() {
            if index > 0 {
                self.0.push(b',');
            }
            json_string(&mut self.0, &shortened(value, MAX_CLAIM));
        }
        self.0.push(b']');
    }

    fn close(mut self) -> Vec<u8> {
        self.0.extend_from_slice(b"}\n");
        self.0
    }
}
