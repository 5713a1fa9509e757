//! `explain`: what the access table decides for one caller. A real caller also needs a valid token with the method's scope.

use super::arguments::ExplainArgs;
use super::outcome::{Exit, Failure, Output};
use super::setup::load_settings;
use crate::domain::access::{AccessMode, AccessModes, Method, OrganisationType};
use crate::settings::{Settings, nearest};

pub(super) fn run(arguments: &ExplainArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let settings = load_settings(&arguments.config)?;
    let (allowed, reason) = explain(&settings, arguments.method, &arguments.organisation, &arguments.adgang);
    output.print(&format!("{}: {reason}\n", if allowed { "let in" } else { "refused" }))?;
    Ok(if allowed { Exit::Done } else { Exit::Failed })
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
