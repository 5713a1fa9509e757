//! The commands: arguments → work → exit code.
//!
//! What a command prints is its result and goes to standard output; why it failed goes to standard error. A
//! reader that closes standard output early (`| head`) is no failure, but for `export`; a full disk behind it is.

use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::catch_unwind;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use rustix::process::Signal;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

pub(crate) mod arguments;
mod check;
mod dev;
mod explain;
mod health;
mod management;
mod manual;
mod openapi;
mod records;
mod serve;

use crate::telemetry::logging;
use arguments::{Arguments, Command};

/// The exit codes that scripts rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed while running, or: not let in, not ready, input refused, store in use.
    Failed = 1,
    /// Bad usage or configuration.
    Usage = 2,
    /// The store is damaged or is not ours.
    Damaged = 3,
}

impl Exit {
    fn of(code: u8) -> Self {
        match code {
            0 => Self::Done,
            2 => Self::Usage,
            3 => Self::Damaged,
            _ => Self::Failed,
        }
    }
}

/// Why a command could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    /// The code to exit with.
    pub exit: Exit,
    /// What is told on standard error.
    pub message: String,
}

impl Failure {
    /// A failure with this code and these words.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}

/// Where a command's result goes.
pub(crate) struct Output<'a>(pub &'a mut dyn Write);

impl Output<'_> {
    /// Prints the text as it is and flushes it. That the reader has gone is no failure.
    pub(crate) fn print(&mut self, text: &str) -> Result<(), Failure> {
        match self.0.write_all(text.as_bytes()).and_then(|()| self.0.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Exit::Failed, format!("cannot write to standard output: {error}")))
            }
            _ => Ok(()),
        }
    }
}

/// The whole program: reads the arguments of this process, does the work, tells the exit code. A panic, which has been
/// printed by then, is a failure like others.
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
/// a handler, whatever it does, such a write fails with EFBIG, which is handled wherever a full disk is.
fn survive_file_size_limit() {
    // tokio never takes a handler out again, so the runtime is needed for this one call only. Where the system refuses even
    // that, no command gets far enough to write a file.
    let handled = Builder::new_current_thread().enable_io().build().and_then(|runtime| {
        let _context = runtime.enter();
        signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).map(drop)
    });
    let _ = handled;
}

/// As [`main`], with arguments (the program's name first) and streams handed in.
pub(crate) fn run(
    arguments: impl IntoIterator<Item = OsString>,
    output: &mut dyn Write,
    errors: &mut dyn Write,
) -> Exit {
    let mut output = Output(output);
    let outcome = match parse(arguments) {
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
    // What was logged stands before what is told at the end.
    logging::flush();
    outcome.unwrap_or_else(|failure| {
        // When not even this can be said, the exit code still can.
        let _ = writeln!(errors, "error: {failure}");
        failure.exit
    })
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Arguments, clap::Error> {
    let mut command = Arguments::command();
    let matches = command.try_get_matches_from_mut(arguments)?;
    Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn execute(command: Command, output: &mut Output<'_>, errors: &mut dyn Write) -> Result<Exit, Failure> {
    match command {
        Command::Serve(arguments) => serve::run(&arguments, output),
        Command::Dev(arguments) => dev::run(&arguments, output),
        Command::Check(arguments) => check::run(&arguments, output),
        Command::Explain(arguments) => explain::run(&arguments, output),
        Command::Export(arguments) => records::export(&arguments, output, errors),
        Command::Import(arguments) => records::import(&arguments, output, errors),
        Command::Verify(arguments) => records::verify(&arguments, output, errors),
        Command::Openapi => openapi::run(output),
        Command::Man => manual::man(output),
        Command::Completions(arguments) => manual::completions(&arguments, output),
        Command::Health(arguments) => health::run(&arguments, output),
    }
}

/// Loads the configuration over this process's environment; all faults in one failure.
fn load_settings(arguments: &arguments::ConfigArgs) -> Result<crate::settings::Settings, Failure> {
    crate::settings::load(&arguments.config, std::env::vars_os()).map_err(|faults| refused(&faults))
}

/// The failure that tells all faults of a configuration, a line each.
fn refused(faults: &crate::settings::SettingsErrors) -> Failure {
    let count = match faults.0.len() {
        1 => "1 fault".to_owned(),
        count => format!("{count} faults"),
    };
    Failure::new(Exit::Usage, format!("the configuration has {count}\n{faults}"))
}

#[cfg(test)]
mod tests;
