//! `export`: every record as NDJSON with a trailer, from the closed store or from a running service, to a file or to
//! standard output.
//!
//! A file is replaced whole or not at all. On standard output a reader that goes away early is a failure here: half an
//! export must not pass for one.

use std::io::Write;
use std::path::Path;

use super::atomic_file::Replacement;
use super::progress::Progress;
use super::remote_export;
use super::{Absent, not_written, open, start_logging};
use crate::cli::arguments::{ConfigArgs, ExportArgs};
use crate::cli::{Exit, Failure, Output, load_settings};
use crate::interchange;
use crate::settings::{Listen, Settings};
use crate::store::ReadError;

pub(in crate::cli) fn run(
    arguments: &ExportArgs,
    output: &mut Output<'_>,
    errors: &mut dyn Write,
) -> Result<Exit, Failure> {
    // None is needed to ask a running service: who makes backups need not be able to read its keys.
    let settings =
        arguments.config.clone().map(|config| load_settings(&ConfigArgs { config })).transpose()?;
    if let Some(settings) = &settings {
        start_logging(settings);
    }
    let settings = settings.as_ref();
    let Some(path) = arguments.output.as_deref().filter(|path| *path != Path::new("-")) else {
        return export(arguments, settings, &mut *output.0, "standard output", errors);
    };
    let name = path.display().to_string();
    let mut file = Replacement::begin(path).map_err(|error| not_written(&name, &error))?;
    export(arguments, settings, &mut file, &name, errors)?;
    file.finish().map_err(|error| not_written(&name, &error))?;
    Ok(Exit::Done)
}

/// Writes the export to `out`, which is called `name`.
fn export(
    arguments: &ExportArgs,
    settings: Option<&Settings>,
    mut out: &mut dyn Write,
    name: &str,
    errors: &mut dyn Write,
) -> Result<Exit, Failure> {
    if let Some(address) = &arguments.from {
        let mut progress = Progress::start(errors, "written");
        let copied = remote_export::copy(address, out, name, &mut progress);
        progress.end();
        return copied.map(|()| Exit::Done);
    }
    let Some(settings) = settings else {
        return Err(Failure::new(Exit::Usage, "--config is needed without --from"));
    };
    let store = open(settings, Absent::ImportRejected, &ask_it(settings.server.management.as_ref()), errors)?;
    let listing = store.list_blocking().map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let total = listing.count();
    let mut progress = Progress::start(errors, "written");
    let written = interchange::export(listing, &mut out, |done| progress.at(done, total));
    progress.end();
    written.map_err(|error| match error {
        ReadError::Reader(error) => not_written(name, &error),
        ReadError::Store(error) => Failure::new(Exit::Failed, error.to_string()),
    })?;
    if store.close() {
        Ok(Exit::Done)
    } else {
        Err(Failure::new(Exit::Failed, "the disk did not let the store be closed in time"))
    }
}

/// What to do about another process that has the store open: most likely it is the service, which can export itself.
fn ask_it(management: Option<&Listen>) -> String {
    let from = match management {
        None => return "stop it first: server.management is off, so it cannot be asked".to_owned(),
        Some(Listen::Tcp(address)) if address.port() == 0 || address.ip().is_unspecified() => {
            "http://MANAGEMENT-ADDRESS".to_owned()
        }
        Some(Listen::Tcp(address)) => format!("http://{address}"),
        Some(unix @ Listen::Unix(_)) => unix.to_string(),
    };
    format!("if it is the service, export from it with --from {from}")
}
