//! The tables of input and output as the contract's page prints them, read off the schemas of the endpoint specs.

use serde_json::{Value, json};

use crate::api::spec::{Body, EndpointSpec, Input, TypeSchema};

/// Precedes an element once for each level that it is within.
const LEVEL: &str = "- ";
const EXACTLY_ONE: &str = "1";
const AT_MOST_ONE: &str = "0 - 1";
const ANY_NUMBER: &str = "0 - *";

/// What the five columns hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FieldRow {
    /// The name, indented by its level.
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
    let mut table = Table::default();
    match endpoint.input {
        Input::Nothing => {}
        Input::Query(schema_of) => table.members_of(schema_of, 0),
        Input::Body(body) => table.body(body),
    }
    table.rows
}

/// The rows of the method's output; none when it has none.
pub(super) fn output(endpoint: &EndpointSpec) -> Vec<FieldRow> {
    let mut table = Table::default();
    endpoint.output.into_iter().for_each(|body| table.body(body));
    table.rows
}

/// The members of an object's schema, each with its name and whether it is required.
pub(super) fn members(schema: &Value) -> impl Iterator<Item = (&String, &Value, bool)> {
    let required = schema["required"].as_array();
    let is_required = move |name: &str| required.is_some_and(|names| names.iter().any(|other| other == name));
    let members = schema["properties"].as_object().into_iter().flatten();
    members.map(move |(name, member)| (name, member, is_required(name)))
}

#[derive(Default)]
struct Table {
    rows: Vec<FieldRow>,
}

impl Table {
    fn body(&mut self, body: Body) {
        self.rows.push(FieldRow {
            element: body.name.to_owned(),
            kind: body.schema_of.name().into_owned(),
            details: String::new(),
            occurrence: EXACTLY_ONE,
            description: String::new(),
        });
        self.members_of(body.schema_of, 1);
    }

    fn members_of(&mut self, schema_of: TypeSchema, level: usize) {
        self.members(&json!(schema_of.schema()), &json!(schema_of.parts()), level);
    }

    /// Appends a row for each member of this schema and, below it, the rows of its own members. References lead to `parts`.
    fn members(&mut self, schema: &Value, parts: &Value, level: usize) {
        let schema = resolved(schema, parts);
        for (name, member, required) in members(schema) {
            let occurrence = if required { EXACTLY_ONE } else { AT_MOST_ONE };
            self.row(name, member, parts, level, occurrence);
        }
        if let Some(item) = schema.get("items") {
            self.row(type_name(item, parts), item, parts, level, ANY_NUMBER);
        }
    }

    fn row(&mut self, name: &str, schema: &Value, parts: &Value, level: usize, occurrence: &'static str) {
        let pattern = resolved(schema, parts)["pattern"].as_str();
        let details = pattern.map(|pattern| format!("Pattern: {}", pattern.trim_matches(['^', '$'])));
        self.rows.push(FieldRow {
            element: format!("{}{name}", LEVEL.repeat(level)),
            kind: type_name(schema, parts).to_owned(),
            details: details.unwrap_or_default(),
            occurrence,
            // That of the member; its type's own is not repeated.
            description: schema["description"].as_str().unwrap_or_default().to_owned(),
        });
        self.members(schema, parts, level + 1);
    }
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
