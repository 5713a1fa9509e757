//! `serve`: runs the service.

use super::arguments::ServeArgs;
use super::{Exit, Failure, Output};

pub(super) fn run(_arguments: &ServeArgs, _output: &mut Output<'_>) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "serve is not in this build"))
}
