//! `openapi`: the OpenAPI document, as a service with the shipped access table serves it.

use std::path::Path;

use super::outcome::{Exit, Failure, Output};
use crate::apidocs::openapi;
use crate::settings::access;

pub(super) fn run(output: &mut Output<'_>) -> Result<Exit, Failure> {
    let access_table = access::parse_table(access::SHIPPED, Path::new("access.toml")).map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Failure::new(Exit::Usage, errors.join("\n"))
    })?;
    output.print(&openapi::document(&access_table))?;
    Ok(Exit::Done)
}
