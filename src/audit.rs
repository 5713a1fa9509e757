//! The audit line: who asked for what, and whether the caller was authorised (docs/AUDIT.md).
//!
//! One JSON object per call that reached a method, or `/export`, written before the answer is sent. Nothing that came from
//! outside can break the line, and neither a token nor a part of one is ever in it.

mod file;
mod sink;
mod writer;

use std::fmt;
use std::io::Write as _;
use std::net::IpAddr;

use actix_web::http::StatusCode;
use serde::Serialize;

use crate::auth::Caller;
use crate::domain::cvr::Cvr;
use crate::domain::timestamp::Timestamp;
use crate::escape::{shortened, text_to_json, to_json};

pub(crate) use file::{WIDEST_MODE, wide_mode};
pub use sink::AuditLog;
pub use writer::AuditWriter;

/// The longest `aarsag`, in characters. A rule of our own is shorter; a cause may quote a database.
const MAX_REASON: usize = 1024;
/// The longest `sub` and `clientId`, in characters.
const MAX_NAME: usize = 256;
/// The longest other claim, in characters; every one that gives access is shorter.
pub(crate) const MAX_CLAIM: usize = 64;
/// Most access modes in a line; there are half as many.
const MAX_MODES: usize = 16;
/// Most lines are not longer than this, in bytes.
const USUAL_LENGTH: usize = 640;

/// The other end of a connection: an address, or nothing for a Unix socket, whose clients have none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub Option<IpAddr>);

impl Peer {
    /// Appends what is displayed; an IPv4 address, the usual one, without the formatter, which takes five times as long.
    fn write(self, line: &mut Vec<u8>) {
        if let Some(IpAddr::V4(address)) = self.0 {
            for (place, octet) in address.octets().iter().enumerate() {
                if place > 0 {
                    line.push(b'.');
                }
                to_json(line, octet);
            }
        } else {
            // Memory takes every byte.
            let _ = write!(line, "{self}");
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(formatter),
            None => formatter.write_str("unix"),
        }
    }
}

/// The members of a line, in their order; only `antal` is ever absent.
#[derive(Debug)]
pub(crate) struct AuditLine<'a> {
    pub tid: Timestamp,
    pub request_id: Option<&'a str>,
    pub metode: Option<&'a str>,
    pub udfald: &'static str,
    pub status: u16,
    pub fejlkode: Option<&'static str>,
    pub aarsag: Option<&'a str>,
    pub cvr_nummer: Option<Cvr>,
    pub trace_id: Option<&'a str>,
    /// `sub`, `clientId`, `organisationType`, `organisationCode`, `adgang` and `aktoerCvr`.
    pub caller: Option<&'a Caller>,
    pub remote: Peer,
    /// The number of calls that the line sums up.
    pub antal: Option<u64>,
}

impl<'a> AuditLine<'a> {
    /// The line of an answer with this status and `fejlkode` that is ready now. `authorised`: the caller was, whatever came
    /// of the request; `reason`: the rule that decided, or why the service failed; `caller`: when the token was good.
    pub(crate) fn new(
        tid: Timestamp,
        (status, fejlkode): (StatusCode, Option<&'static str>),
        authorised: bool,
        reason: Option<&'a str>,
        caller: Option<&'a Caller>,
        remote: Peer,
    ) -> Self {
        Self {
            tid,
            request_id: None,
            metode: None,
            udfald: match (status.is_server_error(), authorised) {
                (true, _) => "fejl",
                (false, true) => "tilladt",
                (false, false) => "afvist",
            },
            status: status.as_u16(),
            fejlkode,
            aarsag: reason,
            cvr_nummer: None,
            trace_id: None,
            caller,
            remote,
            antal: None,
        }
    }

    /// The bytes of the line, line feed included. Member by member: serde's derived code was a tenth of a GetLogin.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut line = begin(self.tid);
        text(&mut line, "requestId", self.request_id);
        text(&mut line, "metode", self.metode);
        text(&mut line, "udfald", Some(self.udfald));
        member(&mut line, "status", &self.status);
        text(&mut line, "fejlkode", self.fejlkode);
        text(&mut line, "aarsag", self.aarsag.map(|reason| shortened(reason, MAX_REASON)).as_deref());
        company(&mut line, self.cvr_nummer);
        text(&mut line, "traceId", self.trace_id);
        match self.caller {
            Some(caller) => {
                line.extend_from_slice(caller.audit_members.get_or_init(|| caller_members(self.caller)))
            }
            None => line.extend_from_slice(&caller_members(None)),
        }
        line.extend_from_slice(br#","remote":""#);
        self.remote.write(&mut line);
        line.push(b'"');
        if self.antal.is_some() {
            member(&mut line, "antal", &self.antal);
        }
        line.extend_from_slice(b"}\n");
        line
    }
}

/// The members about the caller, which are the same in all of its lines.
fn caller_members(caller: Option<&Caller>) -> Box<[u8]> {
    let claim = |read: fn(&Caller) -> &Option<String>, most| {
        caller.and_then(|caller| read(caller).as_deref()).map(|claim| shortened(claim, most))
    };
    let modes = caller.map(|caller| caller.access.as_slice()).unwrap_or_default();
    let modes: Vec<_> = modes.iter().take(MAX_MODES).map(|mode| shortened(mode, MAX_CLAIM)).collect();
    let mut members = Vec::new();
    text(&mut members, "sub", claim(|caller| &caller.subject, MAX_NAME).as_deref());
    text(&mut members, "clientId", claim(|caller| &caller.client_id, MAX_NAME).as_deref());
    text(&mut members, "organisationType", claim(|caller| &caller.organisation_type, MAX_CLAIM).as_deref());
    text(&mut members, "organisationCode", claim(|caller| &caller.organisation_code, MAX_CLAIM).as_deref());
    member(&mut members, "adgang", &modes);
    text(&mut members, "aktoerCvr", claim(|caller| &caller.acting_cvr, MAX_CLAIM).as_deref());
    members.into()
}

/// A line's beginning, with its first member.
fn begin(tid: Timestamp) -> Vec<u8> {
    let mut line = Vec::with_capacity(USUAL_LENGTH);
    line.extend_from_slice(br#"{"tid":""#);
    line.extend_from_slice(&tid.write());
    line.push(b'"');
    line
}

fn company(line: &mut Vec<u8>, cvr: Option<Cvr>) {
    let digits = cvr.map(Cvr::digits);
    text(line, "cvrNummer", digits.as_ref().and_then(|digits| str::from_utf8(digits).ok()));
}

/// Appends a member that is not the first one.
fn member(line: &mut Vec<u8>, name: &str, value: &(impl Serialize + ?Sized)) {
    begin_member(line, name);
    to_json(line, value);
}

/// As [`member`], for a text or its absence.
fn text(line: &mut Vec<u8>, name: &str, value: Option<&str>) {
    begin_member(line, name);
    match value {
        Some(value) => text_to_json(line, value),
        None => line.extend_from_slice(b"null"),
    }
}

fn begin_member(line: &mut Vec<u8>, name: &str) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
}

/// The line of a company that `erase` takes out. There was no call, so it has these members alone.
#[derive(Debug)]
pub(crate) struct ErasureLine<'a> {
    tid: Timestamp,
    aarsag: &'a str,
    cvr_nummer: Cvr,
}

impl<'a> ErasureLine<'a> {
    pub(crate) fn new(tid: Timestamp, cvr: Cvr, reason: &'a str) -> Self {
        Self { tid, aarsag: reason, cvr_nummer: cvr }
    }

    /// As [`AuditLine::write`].
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut line = begin(self.tid);
        text(&mut line, "metode", Some("Sletning"));
        text(&mut line, "udfald", Some("slettet"));
        text(&mut line, "aarsag", Some(self.aarsag));
        company(&mut line, Some(self.cvr_nummer));
        line.extend_from_slice(b"}\n");
        line
    }
}
