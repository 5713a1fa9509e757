//! `check`: everything that `serve` would refuse, without touching the store.

use super::arguments::CheckArgs;
use super::{Exit, Failure, Output, load_settings, refused};
use crate::settings::{Fault, Faults, Settings};

pub(super) fn run(arguments: &CheckArgs, output: &mut Output<'_>) -> Result<Exit, Failure> {
    let settings = load_settings(arguments)?;
    let faults = check_keys(&settings);
    if !faults.is_empty() {
        return Err(refused(&Faults(faults)));
    }
    output.print(&format!("{}: no faults\n", arguments.config.display()))?;
    Ok(Exit::Done)
}

/// SEAM: whether the key set that the settings name holds one usable key. Joined when `auth` can tell.
fn check_keys(_settings: &Settings) -> Vec<Fault> {
    Vec::new()
}
