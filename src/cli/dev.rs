//! `dev`: runs the service for a newcomer.

use super::arguments::DevArgs;
use super::{Exit, Failure, Output};

pub(super) fn run(_arguments: &DevArgs, _output: &mut Output<'_>) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "dev is not in this build"))
}
