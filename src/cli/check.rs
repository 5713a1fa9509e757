//! `check`: everything that `serve` would refuse, without opening the store, keeping an address or writing anything.
//!
//! Two things only the start can find: a fault inside the database (`verify` reads every record of a closed store), and
//! an address or a store held by another program than the service that is to be restarted, which is a note here.

use std::path::Path;

use super::arguments::CheckArgs;
use super::{Exit, Failure, Output, refused};
use crate::auth;
use crate::domain::clock::{Clock, ServiceClock};
use crate::server::{key_source, preflight, token_rules};
use crate::settings;
use crate::settings::{Origin, SettingError, SettingsErrors, Token, keys};

pub(super) fn run(arguments: &CheckArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let mut faults = match settings::load(&arguments.config, std::env::vars_os()) {
        Ok(_) => vec![],
        Err(faults) => faults.0,
    };
    let sections = settings::load_sections(&arguments.config, std::env::vars_os());
    if let Some(token) = &sections.token {
        faults.extend(check_keys(token, &arguments.config, output)?);
    }
    if let Err(wrong) = ServiceClock.limits().check(ServiceClock.now()) {
        output.print(&format!("note: {wrong}; the service would start and answer SetLogin with 503\n"))?;
    }
    let found = preflight(&sections);
    for note in &found.notes {
        output.print(&format!("note: {note}\n"))?;
    }
    if found.faults.is_empty() {
        if !faults.is_empty() {
            return Err(refused(&SettingsErrors(faults)));
        }
        output.print(&format!("{}: no faults\n", arguments.config.display()))?;
        return Ok(Exit::Done);
    }
    let codes = found.faults.iter().map(|fault| Exit::of(fault.exit_code()));
    let exit = worst(codes.chain((!faults.is_empty()).then_some(Exit::Usage)));
    let lines: Vec<_> =
        faults.iter().map(ToString::to_string).chain(found.faults.iter().map(ToString::to_string)).collect();
    let count = if lines.len() == 1 { "1 fault".to_owned() } else { format!("{} faults", lines.len()) };
    Err(Failure::new(exit, format!("{count} would stop the service\n{}", lines.join("\n"))))
}

/// The code for all of them: a configuration must be mended before the rest means much, and a damaged store outweighs
/// what the machine refuses.
fn worst(codes: impl Iterator<Item = Exit>) -> Exit {
    codes.fold(Exit::Failed, |worst, code| match (worst, code) {
        (Exit::Usage, _) | (_, Exit::Usage) => Exit::Usage,
        (Exit::Damaged, _) | (_, Exit::Damaged) => Exit::Damaged,
        _ => Exit::Failed,
    })
}

/// Whether the key set that the settings name holds one usable key; what is wrong with it besides is a warning. An issuer
/// that is away does not stop the start, so it is a note.
fn check_keys(token: &Token, config: &Path, output: &mut Output<'_>) -> Result<Vec<SettingError>, Failure> {
    let source = key_source(token);
    match auth::check_source(&token_rules(token), &source) {
        Ok(checked) => {
            for warning in &checked.warnings {
                output.print(&format!("warning: token.jwks: {warning}\n"))?;
            }
            Ok(vec![])
        }
        Err(error) if error.is_outage() => {
            let error = error.with_help();
            output.print(&format!(
                "note: token.jwks: {error}; the service would start and answer 503 until it has keys\n"
            ))?;
            Ok(vec![])
        }
        Err(error) => Ok(vec![SettingError {
            origin: origin(source, config),
            key: Some(keys::JWKS.path.to_owned()),
            reason: error.to_string(),
            help: error.help().to_owned(),
        }]),
    }
}

/// Where the faulty keys, or their address, were written.
fn origin(source: auth::Source, config: &Path) -> Origin {
    let variable = keys::JWKS.variable();
    match source {
        auth::Source::File(path) => Origin::File { path, line: None },
        _ if std::env::var_os(&variable).is_some() => Origin::Variable(variable),
        _ => Origin::File { path: config.to_owned(), line: None },
    }
}
