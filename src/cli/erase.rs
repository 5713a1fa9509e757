//! `erase`: takes companies out of a stopped embedded store, or out of a database while instances run.
//!
//! Each company has its durable line in the audit file before it is taken out. A command that was cut short did some of its
//! work or none; the same command does the rest, and may report a company again.

use std::io::{self, BufRead, IsTerminal, Write};

use log::LevelFilter;
use rustix::process::getuid;

use super::arguments::EraseArgs;
use super::offline_store::{STOP_IT, close, open};
use super::outcome::{Exit, Failure, Output};
use super::progress::Progress;
use super::setup::{load_settings, start_logging};
use crate::audit::{AuditLog, ErasureLine};
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::cvr::Cvr;
use crate::server::{open_audit, store_options};
use crate::store::{Selection, Store};

pub(super) fn run(
    arguments: &EraseArgs,
    output: &mut Output<'_>,
    errors: &mut dyn Write,
) -> Result<Exit, Failure> {
    let settings = load_settings(&arguments.config)?;
    start_logging(&settings, LevelFilter::Warn);
    let store = open(&store_options(&settings.store)?, Store::open_existing, STOP_IT, errors)?;
    let which = match arguments.last_before {
        Some(time) => Selection::LastBefore(time),
        None => Selection::of(arguments.companies.clone()),
    };
    let companies = store.select(&which).map_err(Failure::failed)?;
    let not_found = report_missing(&which, &companies, errors);
    let mut erased = 0;
    if !arguments.dry_run {
        if !arguments.yes {
            confirm(companies.len(), errors)?;
        }
        let audit = open_audit(&settings.audit_file)?;
        erased = erase(&store, &companies, &which, &audit, errors)?;
    }
    let exit = close(&store)?;
    output.print(&format!("found: {}\nnot found: {not_found}\nerased: {erased}\n", companies.len()))?;
    Ok(exit)
}

fn erase(
    store: &Store,
    companies: &[Cvr],
    which: &Selection,
    audit: &AuditLog,
    errors: &mut dyn Write,
) -> Result<u64, Failure> {
    let rule = match which {
        Selection::Companies(_) => "named by its number".to_owned(),
        Selection::LastBefore(time) => format!("latest login before {time}"),
    };
    let reason = format!("erase by user {}: {rule}", getuid().as_raw());
    let (mut reported, total) = (0, companies.len() as u64);
    let mut progress = Progress::start(errors, "reported to the audit file");
    let erased = store.erase(companies, which, |part| {
        let now = SystemClock.now();
        let lines: Vec<u8> =
            part.iter().flat_map(|cvr| ErasureLine::new(now, *cvr, &reason).write()).collect();
        audit.write_alone(&lines).and_then(|()| audit.sync())?;
        reported += part.len() as u64;
        progress.at(reported, Some(total));
        Ok(())
    });
    progress.end();
    erased.map_err(|error| {
        Failure::failed(format!(
            "{error}; what was erased so far stays erased, and the same command does the rest"
        ))
    })
}

/// Reports the numbers that are not in the store; returns how many.
fn report_missing(which: &Selection, found: &[Cvr], errors: &mut dyn Write) -> usize {
    let Selection::Companies(named) = which else { return 0 };
    for cvr in named.iter().filter(|cvr| found.binary_search(cvr).is_err()) {
        let _ = writeln!(errors, "{cvr} is not in the store");
    }
    named.len() - found.len()
}

/// Asks on a terminal; an error unless the answer agrees.
fn confirm(found: usize, errors: &mut dyn Write) -> Result<(), Failure> {
    let companies = if found == 1 { "1 company".to_owned() } else { format!("{found} companies") };
    if !io::stdin().is_terminal() {
        let reason = "without a terminal to ask on, --yes is needed; nothing was erased";
        return Err(Failure::failed(format!("{companies} would be erased: {reason}")));
    }
    if found == 0 {
        return Ok(());
    }
    let mut answer = String::new();
    let asked =
        write!(errors, "Erase {companies}? This cannot be undone. [y/N] ").and_then(|()| errors.flush());
    let read = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
    match (read, answer.trim()) {
        (Ok(_), "y" | "yes") => Ok(()),
        _ => Err(Failure::failed("nothing was erased")),
    }
}
