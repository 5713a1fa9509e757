//! `explain`: what the access table decides for one caller, or every check for one token.
//!
//! A caller whose organisation and access modes are given also needs a valid token with the method's scope.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::arguments::ExplainArgs;
use super::outcome::{Exit, Failure, Output};
use super::setup::load_settings;
use crate::auth::{self, Examination};
use crate::domain::access::{AccessMode, AccessModes, Method, OrganisationType};
use crate::domain::clock::{Clock, ServiceClock};
use crate::settings::{Settings, nearest};

/// Bytes of a token file that are read: more than the longest token.
const MAX_FILE: u64 = 64 * 1024;

pub(super) fn run(arguments: &ExplainArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let settings = load_settings(&arguments.config)?;
    if let Some(file) = &arguments.token {
        let table = (arguments.method, &settings.access_table);
        let (rules, keys) = (&settings.token.rules, &settings.token.keys);
        let examined = auth::examine(&read_token(file)?, table, rules, keys, ServiceClock.now());
        output.print(&report(&examined))?;
        return Ok(if examined.findings.is_empty() { Exit::Done } else { Exit::Failed });
    }
    // The arguments have it when there is no token.
    let organisation = arguments.organisation.as_deref().unwrap_or_default();
    let (allowed, reason) = explain(&settings, arguments.method, organisation, &arguments.adgang);
    output.print(&format!("{}: {reason}\n", if allowed { "let in" } else { "refused" }))?;
    Ok(if allowed { Exit::Done } else { Exit::Failed })
}

/// The token without the white space around it. What cannot be one is left to the checks.
fn read_token(file: &Path) -> Result<String, Failure> {
    let mut text = Vec::new();
    let reader: io::Result<Box<dyn Read>> = match file.to_str() {
        Some("-") => Ok(Box::new(io::stdin())),
        _ => File::open(file).map(|file| Box::new(file) as Box<dyn Read>),
    };
    let read = reader.and_then(|reader| reader.take(MAX_FILE).read_to_end(&mut text));
    read.map_err(|error| Failure::failed(format!("{}: the token cannot be read: {error}", file.display())))?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

fn report(examined: &Examination) -> String {
    let mut text = match (&examined.allowed_by, examined.findings.as_slice()) {
        (Some(rule), []) => format!("let in: {rule}\n"),
        (_, findings) => format!("refused:\n  {}\n", findings.join("\n  ")),
    };
    if examined.is_bound {
        text.push_str("the token is bound to a certificate (cnf): judged as if the client had shown it\n");
    }
    if !examined.values.is_empty() {
        text.push_str("looked for, and found:\n");
    }
    for (name, value) in &examined.values {
        let _ = writeln!(text, "  {name}: {value}");
    }
    text
}

fn explain(settings: &Settings, method: Method, organisation: &str, adgang: &[String]) -> (bool, String) {
    // As a token's claim is read: plain names first, then the values that the configuration maps.
    let known = organisation
        .parse::<OrganisationType>()
        .ok()
        .or_else(|| settings.token.rules.organisation_types.get(organisation).copied());
    let Some(known) = known else {
        let hint = hint(organisation, &OrganisationType::ALL.map(OrganisationType::name));
        return (false, format!("{organisation:?} is no organisation type{hint}"));
    };
    let modes: AccessModes = adgang.iter().filter_map(|mode| mode.parse::<AccessMode>().ok()).collect();
    let reason = settings.access_table.decide(method, known, modes);
    let (allowed, mut reason) = (reason.allows(), reason.to_string());
    // Unknown modes are ignored, as in a token; here they are most likely typing errors.
    for unknown in adgang.iter().filter(|mode| mode.parse::<AccessMode>().is_err()) {
        let hint = hint(unknown, &AccessMode::ALL.map(AccessMode::name));
        reason.push_str(&format!("\n  {unknown:?} is no access mode{hint}"));
    }
    (allowed, reason)
}

fn hint(given: &str, names: &[&'static str]) -> String {
    nearest(given, names.iter().copied()).map_or_else(String::new, |name| format!("; did you mean {name}?"))
}
