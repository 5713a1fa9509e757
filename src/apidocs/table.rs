//! The tables of input and output as the contract's page prints them, read off the schemas of the endpoint specs.

use serde_json::{Value, json};

use crate::api::spec::{Body, EndpointSpec, Input, TypeSchema};

/// What the five columns hold.
pub(super) struct FieldRow {
    /// The name, after a dash for each level that it is within.
    pub(super) element: String,
    /// The type's name.
    pub(super) kind: String,
    /// What its value must look like.
    pub(super) details: String,
    pub(super) occurrence: &'static str,
    pub(super) description: String,
}

/// The rows of the method's input; none when it has none.
pub(super) fn input(endpoint: &EndpointSpec) -> Vec<FieldRow> {
    match endpoint.input {
        Input::Nothing => Vec::new(),
        Input::Query(schema_of) => members_of(schema_of, 0),
        Input::Body(body) => body_rows(body),
    }
}

/// The rows of the method's output; none when it has none.
pub(super) fn output(endpoint: &EndpointSpec) -> Vec<FieldRow> {
    endpoint.output.map(body_rows).unwrap_or_default()
}

fn body_rows(body: Body) -> Vec<FieldRow> {
    let mut rows = vec![FieldRow {
        element: body.name.to_owned(),
        kind: body.schema_of.name().into_owned(),
        details: String::new(),
        occurrence: "1",
        description: String::new(),
    }];
    rows.extend(members_of(body.schema_of, 1));
    rows
}

fn members_of(schema_of: TypeSchema, level: usize) -> Vec<FieldRow> {
    let mut rows = Vec::new();
    add_members(&mut rows, &json!(schema_of.schema()), &json!(schema_of.parts()), level);
    rows
}

/// Appends a row for each member of this schema and, below it, the rows of its own members. References lead to `parts`.
fn add_members(rows: &mut Vec<FieldRow>, schema: &Value, parts: &Value, level: usize) {
    let schema = resolved(schema, parts);
    let members = members(schema)
        .map(|(name, member, required)| (name.as_str(), member, if required { "1" } else { "0 - 1" }));
    let items = schema.get("items").map(|item| (type_name(item, parts), item, "0 - *"));
    for (name, schema, occurrence) in members.chain(items) {
        let pattern = resolved(schema, parts)["pattern"].as_str();
        let details = pattern.map(|pattern| format!("Pattern: {}", pattern.trim_matches(['^', '$'])));
        rows.push(FieldRow {
            element: format!("{}{name}", "- ".repeat(level)),
            kind: type_name(schema, parts).to_owned(),
            details: details.unwrap_or_default(),
            occurrence,
            // That of the member; its type's own is not repeated.
            description: schema["description"].as_str().unwrap_or_default().to_owned(),
        });
        add_members(rows, schema, parts, level + 1);
    }
}

/// The members of an object's schema, each with its name and whether it is required.
pub(super) fn members(schema: &Value) -> impl Iterator<Item = (&String, &Value, bool)> {
    let required = schema["required"].as_array();
    let is_required = move |name: &str| required.is_some_and(|names| names.iter().any(|other| other == name));
    let members = schema["properties"].as_object().into_iter().flatten();
    members.map(move |(name, member)| (name, member, is_required(name)))
}

/// The name of a composed type, or the page's word for a simple value.
fn type_name<'a>(schema: &'a Value, parts: &'a Value) -> &'a str {
    let resolved = resolved(schema, parts);
    let is_composed = resolved.get("properties").or(resolved.get("items")).is_some();
    let composed = schema["$ref"].as_str().filter(|_| is_composed).map(type_of);
    let format = resolved["format"].as_str().filter(|format| *format == "date-time");
    composed.or(format).or(resolved["type"].as_str()).unwrap_or("string")
}

fn resolved<'a>(schema: &'a Value, parts: &'a Value) -> &'a Value {
    schema["$ref"].as_str().and_then(|reference| parts.get(type_of(reference))).unwrap_or(schema)
}

/// The type's name at the end of a reference.
fn type_of(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or_default()
}
