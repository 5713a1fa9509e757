//! `export`: every record, or those in a window of latest logins, as NDJSON with a trailer, from a stopped store or a running service, to a file or to standard output.
//!
//! A file is replaced whole or not at all. A reader of standard output that closes early is a failure here: half an export
//! must not pass for one.

use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use log::LevelFilter;

use super::arguments::{ConfigArgs, ExportArgs};
use super::atomic_file::Replacement;
use super::management::ManagementAddress;
use super::offline_store::{close, open};
use super::outcome::{Exit, Failure, Output, printable};
use super::progress::Progress;
use super::setup::{load_settings, start_logging};
use crate::domain::login_span::LastLoginWindow;
use crate::interchange::{self, CopyError};
use crate::server::store_options;
use crate::settings::{Listen, Settings};
use crate::store::{ReadError, Store};

const BUFFER: usize = 64 << 10;

pub(super) fn run(
    arguments: &ExportArgs,
    output: &mut Output<'_>,
    errors: &mut dyn Write,
) -> Result<Exit, Failure> {
    // A running service is asked without one, so that backups need not read its secrets.
    let settings =
        arguments.config.clone().map(|config| load_settings(&ConfigArgs { config })).transpose()?;
    if let Some(settings) = &settings {
        start_logging(settings, LevelFilter::Warn);
    }
    let settings = settings.as_ref();
    let Some(path) = arguments.output.as_deref().filter(|path| *path != Path::new("-")) else {
        return export(arguments, settings, &mut *output.0, "standard output", errors);
    };
    let name = path.display().to_string();
    let mut file = Replacement::begin(path).map_err(|error| Failure::not_written(&name, &error))?;
    export(arguments, settings, &mut file.file, &name, errors)?;
    file.finish().map_err(|error| Failure::not_written(&name, &error))?;
    Ok(Exit::Done)
}

/// Writes the export to `out`; `name` is for messages.
fn export(
    arguments: &ExportArgs,
    settings: Option<&Settings>,
    mut out: &mut dyn Write,
    name: &str,
    errors: &mut dyn Write,
) -> Result<Exit, Failure> {
    let window = LastLoginWindow { since: arguments.last_since, before: arguments.last_before };
    if let Some(address) = &arguments.from {
        return copy(address, window, out, name, errors);
    }
    let Some(settings) = settings else {
        return Err(Failure::new(Exit::Usage, "--config is needed without --from"));
    };
    let in_use = ask_it(settings.server.management.as_ref());
    let store = open(&store_options(&settings.store)?, Store::open_existing, &in_use, errors)?;
    let listing = store.list_blocking().map_err(Failure::failed)?;
    let total = listing.count().filter(|_| window.is_unbounded());
    let mut progress = Progress::start(errors, "written");
    let written = interchange::export(listing, window, &mut out, |done| progress.at(done, total));
    progress.end();
    written.map_err(|error| match error {
        ReadError::Reader(error) => Failure::not_written(name, &error),
        ReadError::Store(error) => Failure::failed(error),
    })?;
    close(&store)
}

/// Copies the export of a running service to `out`, verified, or what is in the window of it.
fn copy(
    address: &ManagementAddress,
    window: LastLoginWindow,
    out: &mut dyn Write,
    name: &str,
    errors: &mut dyn Write,
) -> Result<Exit, Failure> {
    let failed = |reason: &str| Failure::failed(printable(&format!("{address}/export: {reason}")));
    let answer = address.get("/export", None).map_err(|error| failed(&error.to_string()))?;
    match answer.status().as_u16() {
        200 => {}
        404 => return Err(failed("404: this is not the management listener, or that of another version")),
        _ => return Err(failed(&format!("the service answered {}", answer.status()))),
    }
    let mut progress = Progress::start(errors, "written");
    let input = BufReader::with_capacity(BUFFER, answer.into_body().into_reader());
    let mut out = BufWriter::with_capacity(BUFFER, out);
    let copied = interchange::copy(input, window, &mut out, |lines| progress.at(lines, None));
    progress.end();
    copied.map_err(|error| match error {
        CopyError::Export(reason) => {
            Failure::failed(printable(&format!("the export from {address}/export is not whole: {reason}")))
        }
        CopyError::Write(error) => Failure::not_written(name, &error),
    })?;
    out.flush().map_err(|error| Failure::not_written(name, &error))?;
    Ok(Exit::Done)
}

/// What to do about another process that has the store open: usually the service, which exports by itself.
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
