//! `openapi`: prints the OpenAPI document as a service with the shipped table of access serves it.

use std::path::Path;

use super::{Exit, Failure, Output};
use crate::apidocs::openapi;
use crate::settings::access;

pub(super) fn run(output: &mut Output<'_>) -> Result<Exit, Failure> {
    let access_table = access::parse_matrix(access::SHIPPED, Path::new("access.toml")).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Failure::new(Exit::Usage, faults.join("\n"))
    })?;
    let document = openapi::document(&access_table).map_err(|error| {
        Failure::new(Exit::Failed, format!("the document cannot be written as JSON: {error}"))
    })?;
    output.print(&document)?;
    Ok(Exit::Done)
}
