//! The commands: arguments → work → exit code.
//!
//! The result goes to standard output, the reason of a failure to standard error. A reader that closes standard output early
//! (`| head`) is no failure except for `export`; a full disk behind it is one.

use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::catch_unwind;
use std::process::ExitCode;

use clap::Parser;
use rustix::process::Signal;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

mod arguments;
mod atomic_file;
mod check;
mod dev;
mod erase;
mod explain;
mod export;
mod health;
mod import;
mod management;
mod manual;
mod offline_store;
mod outcome;
mod progress;
mod serve;
mod setup;
mod verify;

use crate::telemetry::logging;
use arguments::{Arguments, Command};
use outcome::{Exit, Failure, Output};

/// The whole program. A panic, which has been printed by then, is a failure like others.
pub fn main() -> ExitCode {
    survive_file_size_limit();
    let exit = catch_unwind(|| run(std::env::args_os(), &mut io::stdout(), &mut io::stderr()));
    let exit = exit.unwrap_or_else(|_| {
        logging::flush();
        Exit::Failed
    });
    ExitCode::from(exit as u8)
}

/// Handles SIGXFSZ, which ends a process that writes to a file at the limit of its size (`ulimit -f`, `LimitFSIZE=`). With
/// any handler such a write fails with EFBIG, which is handled as a full disk is.
fn survive_file_size_limit() {
    // tokio never removes a handler, so the runtime is needed for this call only. Where the system denies even that, no
    // command gets far enough to write a file.
    let handled = Builder::new_current_thread().enable_io().build().and_then(|runtime| {
        let _context = runtime.enter();
        signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
    });
    let _ = handled;
}

/// As [`main`], with these arguments (the program's name first) and streams.
fn run(
    arguments: impl IntoIterator<Item = OsString>,
    output: &mut dyn Write,
    errors: &mut dyn Write,
) -> Exit {
    let mut output = Output(output);
    let outcome = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => execute(arguments.command, &mut output, &mut *errors),
        Err(error) if error.exit_code() == 0 => {
            output.print(&error.render().to_string()).map(|()| Exit::Done)
        }
        // clap begins with "error: " itself.
        Err(error) => {
            let _ = write!(errors, "{}", error.render());
            return Exit::Usage;
        }
    };
    // The log comes before the reason of the failure.
    logging::flush();
    outcome.unwrap_or_else(|failure| {
        let _ = writeln!(errors, "error: {failure}");
        failure.exit
    })
}

fn execute(command: Command, output: &mut Output<'_>, errors: &mut dyn Write) -> Result<Exit, Failure> {
    match command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Dev(arguments) => dev::run(&arguments, output),
        Command::Check(arguments) => check::run(&arguments, output),
        Command::Explain(arguments) => explain::run(&arguments, output),
        Command::Export(arguments) => export::run(&arguments, output, errors),
        Command::Import(arguments) => import::run(&arguments, output, errors),
        Command::Erase(arguments) => erase::run(&arguments, output, errors),
        Command::Verify(arguments) => verify::run(&arguments, output, errors),
        Command::Openapi => manual::openapi(output),
        Command::Man => manual::man(output),
        Command::Completions { shell } => manual::completions(shell, output),
        Command::Health { url } => health::run(&url, output),
    }
}

#[cfg(test)]
mod tests;
