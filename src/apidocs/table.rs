//! The tables of input and output as the contract's page prints them, read off the schemas of the declared types.

use utoipa::openapi::schema::{ArrayItems, Object, SchemaType, Type};
use utoipa::openapi::{KnownFormat, RefOr, Schema, SchemaFormat};

use crate::api::spec::{Body, EndpointSpec, Input};

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

/// The schemas that references in a table point to.
type Parts = std::collections::BTreeMap<String, RefOr<Schema>>;

/// The rows of the method's input; none when it has none.
pub(super) fn input(endpoint: &EndpointSpec) -> Vec<FieldRow> {
    match &endpoint.input {
        Input::Nothing => Vec::new(),
        Input::Query(schema_of) => {
            let mut rows = Vec::new();
            members(&schema_of.schema(), &schema_of.parts(), 0, &mut rows);
            rows
        }
        Input::Body(body) => whole(body),
    }
}

/// The rows of the method's output; none when it has none.
pub(super) fn output(endpoint: &EndpointSpec) -> Vec<FieldRow> {
    endpoint.output.as_ref().map(whole).unwrap_or_default()
}

fn whole(body: &Body) -> Vec<FieldRow> {
    let (schema, parts) = (body.schema_of.schema(), body.schema_of.parts());
    let mut rows = vec![FieldRow {
        element: body.name.to_owned(),
        kind: body.schema_of.name().into_owned(),
        details: String::new(),
        occurrence: EXACTLY_ONE,
        description: String::new(),
    }];
    members(&schema, &parts, 1, &mut rows);
    rows
}

/// Appends a row for each member of this schema and, below it, the rows of its own members.
fn members(schema: &RefOr<Schema>, parts: &Parts, level: usize, rows: &mut Vec<FieldRow>) {
    match resolved(schema, parts) {
        Some(Schema::Object(object)) => {
            for (name, member) in &object.properties {
                let required = object.required.contains(name);
                let occurrence = if required { EXACTLY_ONE } else { AT_MOST_ONE };
                rows.push(row(name, member, parts, level, occurrence));
                members(member, parts, level + 1, rows);
            }
        }
        Some(Schema::Array(array)) => {
            if let ArrayItems::RefOrSchema(item) = &array.items {
                rows.push(row(&type_name(item, parts), item, parts, level, ANY_NUMBER));
                members(item, parts, level + 1, rows);
            }
        }
        _ => {}
    }
}

fn row(
    name: &str,
    schema: &RefOr<Schema>,
    parts: &Parts,
    level: usize,
    occurrence: &'static str,
) -> FieldRow {
    let pattern = match resolved(schema, parts) {
        Some(Schema::Object(object)) => object.pattern.as_deref(),
        _ => None,
    };
    FieldRow {
        element: format!("{}{name}", LEVEL.repeat(level)),
        kind: type_name(schema, parts),
        details: pattern
            .map(|pattern| format!("Pattern: {}", pattern.trim_matches(['^', '$'])))
            .unwrap_or_default(),
        occurrence,
        description: described(schema),
    }
}

/// The description of a member where it is declared, not that of its type.
pub(super) fn described(schema: &RefOr<Schema>) -> String {
    match schema {
        RefOr::Ref(reference) => reference.description.clone(),
        RefOr::T(Schema::Object(object)) => object.description.clone().unwrap_or_default(),
        RefOr::T(_) => String::new(),
    }
}

/// The name of a composed type, or what a plain value is called on the page.
fn type_name(schema: &RefOr<Schema>, parts: &Parts) -> String {
    match (resolved(schema, parts), schema) {
        (Some(Schema::Object(object)), _) if object.properties.is_empty() => value_name(object).to_owned(),
        (_, RefOr::Ref(reference)) => last(&reference.ref_location).to_owned(),
        (Some(Schema::Array(_)), RefOr::T(_)) => "array".to_owned(),
        _ => "object".to_owned(),
    }
}

fn value_name(object: &Object) -> &'static str {
    match (&object.schema_type, &object.format) {
        (_, Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))) => "date-time",
        (SchemaType::Type(Type::Integer), _) => "integer",
        (SchemaType::Type(Type::Number), _) => "number",
        (SchemaType::Type(Type::Boolean), _) => "boolean",
        (SchemaType::Type(Type::Object), _) => "object",
        _ => "string",
    }
}

fn resolved<'a>(schema: &'a RefOr<Schema>, parts: &'a Parts) -> Option<&'a Schema> {
    match schema {
        RefOr::T(schema) => Some(schema),
        RefOr::Ref(reference) => match parts.get(last(&reference.ref_location))? {
            RefOr::T(schema) => Some(schema),
            RefOr::Ref(_) => None,
        },
    }
}

/// The type's name at the end of a reference.
fn last(location: &str) -> &str {
    location.rsplit('/').next().unwrap_or_default()
}
