//! `openapi`: prints the OpenAPI document.

use super::{Exit, Failure, Output};

pub(super) fn run(_output: &mut Output<'_>) -> Result<Exit, Failure> {
    Err(Failure::new(Exit::Failed, "openapi is not in this build"))
}
