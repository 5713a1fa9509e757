//! `check`: everything that would stop `serve`, without opening the store, keeping an address or writing anything.
//!
//! Two things only the start can find: damage inside the database (`verify` reads every record of a stopped store), and an
//! address or a store in use by another program than the service to be restarted, which is a note here.

use std::path::Path;

use super::arguments::ConfigArgs;
use super::outcome::{Exit, Failure, Output, count};
use crate::auth;
use crate::domain::clock::{Clock, ServiceClock};
use crate::server::preflight;
use crate::settings;
use crate::settings::{Origin, SettingError, SettingsErrors, Token, keys};

pub(super) fn run(arguments: &ConfigArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let mut sections = settings::load_sections(&arguments.config, std::env::vars_os());
    let mut errors = std::mem::take(&mut sections.errors);
    if let Some(token) = &sections.token {
        errors.extend(check_keys(token, &arguments.config, output)?);
    }
    if let Err(wrong) = ServiceClock.limits().check(ServiceClock.now()) {
        output.print(&format!("note: {wrong}; the service would start and answer SetLogin with 503\n"))?;
    }
    let found = preflight(&sections);
    for note in &found.notes {
        output.print(&format!("note: {note}\n"))?;
    }
    if found.errors.is_empty() {
        if !errors.is_empty() {
            return Err(SettingsErrors(errors).into());
        }
        output.print(&format!("{}: no errors\n", arguments.config.display()))?;
        return Ok(Exit::Done);
    }
    let mut codes: Vec<_> = found.errors.iter().map(Exit::from).collect();
    codes.extend((!errors.is_empty()).then_some(Exit::Usage));
    // The configuration must be corrected first, and a damaged store outweighs an error of the machine.
    let exit = [Exit::Usage, Exit::Damaged].into_iter().find(|code| codes.contains(code));
    let of_machine = found.errors.iter().map(ToString::to_string);
    let lines: Vec<_> = errors.iter().map(ToString::to_string).chain(of_machine).collect();
    let message = format!("{} would stop the service\n{}", count(lines.len()), lines.join("\n"));
    Err(Failure::new(exit.unwrap_or(Exit::Failed), message))
}

/// Why the key set has no usable key; other errors of it, and an unavailable issuer, do not stop the start, so they are
/// notes.
fn check_keys(
    token: &Token,
    config: &Path,
    output: &mut Output<'_>,
) -> Result<Option<SettingError>, Failure> {
    let error = match auth::check_source(&token.rules, &token.keys) {
        Ok(warnings) => {
            for warning in &warnings {
                output.print(&format!("note: token.jwks: {warning}\n"))?;
            }
            return Ok(None);
        }
        Err(error) => error,
    };
    if error.is_outage() {
        let error = error.with_help();
        output.print(&format!(
            "note: token.jwks: {error}; the service would start and answer 503 until it has keys\n"
        ))?;
        return Ok(None);
    }
    // Where the unusable keys, or their address, are configured.
    let variable = keys::JWKS.variable();
    let origin = match &token.keys {
        auth::Source::File(path) => Origin::File { path: path.clone(), line: None },
        _ if std::env::var_os(&variable).is_some() => Origin::Variable(variable),
        _ => Origin::File { path: config.to_owned(), line: None },
    };
    let (key, help) = (Some(keys::JWKS.path.to_owned()), error.help().to_owned());
    Ok(Some(SettingError { origin, key, reason: error.to_string(), help }))
}
