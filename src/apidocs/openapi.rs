//! The OpenAPI document (3.1): the methods, their schemas, the table of errors and the access table.

use std::collections::BTreeMap;

use serde_json::{Map, json};
use utoipa::openapi::{RefOr, Schema};

use super::operation::{self, SCHEME, TAG};
use crate::api::problem::ProblemDto;
use crate::api::response::CvrNummer;
use crate::api::spec::{EndpointSpec, Input, TypeSchema};
use crate::domain::access::AccessTable;

/// The document for this access table, as pretty JSON that ends with a line feed.
pub(crate) fn document(access_table: &AccessTable) -> String {
    let mut paths = Map::new();
    for endpoint in EndpointSpec::ALL {
        let verb = endpoint.verb.name().to_lowercase();
        paths.insert(endpoint.path.to_owned(), json!({ verb: operation::of(endpoint, access_table) }));
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Virksomhedslogin",
            "description":
                "Hvornår en virksomhed første gang og senest er logget ind på JobAG. STAR registrerer med SetLogin; \
                 jobcentre og a-kasser læser med GetLogin og GetLogins. Dokumentet dannes af tjenestens egen kode og \
                 af den adgangstabel, der gælder nu (`x-tilladte-organisationer`). En sti tager kun sine egne verber \
                 samt OPTIONS, og HEAD hvor den tager GET; andre besvares med 405.",
            "license": { "name": env!("CARGO_PKG_LICENSE"), "identifier": env!("CARGO_PKG_LICENSE") },
            "version": env!("CARGO_PKG_VERSION"),
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": { SCHEME: {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description":
                    "Et signeret adgangstoken (RFC 9068) i headeren Authorization. Metodens scope skal stå i tokenet, \
                     og organisationstype og adgang i tokenet skal have et kryds i metodens \
                     `x-tilladte-organisationer`.",
            } },
        },
        "tags": [{ "name": TAG, "description": "De tre metoder." }],
    });
    format!("{document:#}\n")
}

/// Every schema that a method refers to, and the problem's.
fn schemas() -> BTreeMap<String, RefOr<Schema>> {
    let mut schemas = BTreeMap::new();
    let mut add = |schema_of: TypeSchema| {
        schemas.insert(schema_of.name().into_owned(), schema_of.schema());
        schemas.extend(schema_of.parts());
    };
    add(TypeSchema::of::<CvrNummer>());
    add(TypeSchema::of::<ProblemDto>());
    let bodies = EndpointSpec::ALL
        .iter()
        .flat_map(|endpoint| endpoint.body().copied().into_iter().chain(endpoint.output));
    bodies.for_each(|body| add(body.schema_of));
    for endpoint in EndpointSpec::ALL {
        // The fields of a query are parameters: the type around them is never sent.
        if let Input::Query(schema_of) = endpoint.input {
            schemas.extend(schema_of.parts());
        }
    }
    schemas
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn shipped() -> Value {
        serde_json::from_str(COPY).unwrap()
    }

    const COPY: &str = include_str!("../../docs/openapi.json");

    /// Follows every `$ref`.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| match (name.as_str(), value) {
                ("$ref", Value::String(location)) => found.push(location),
                _ => references(value, found),
            }),
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_resolves_and_every_schema_is_used() {
        let document = shipped();
        let mut found = Vec::new();
        references(&document, &mut found);
        for location in &found {
            let pointer = location.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{location}");
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            let location = format!("#/components/schemas/{name}");
            assert!(found.contains(&location.as_str()), "{name} is never used");
        }
    }

    #[test]
    fn document_has_version_licence_and_every_method() {
        let document = shipped();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(document["info"]["license"]["identifier"], "Apache-2.0");
        for endpoint in EndpointSpec::ALL {
            let verb = endpoint.verb.name().to_lowercase();
            let operation = &document["paths"][endpoint.path][verb];
            assert_eq!(operation["operationId"], endpoint.name());
            assert_eq!(operation["security"][0][SCHEME][0], endpoint.scope());
        }
    }

    #[test]
    fn each_method_lists_the_statuses_that_it_can_return() {
        let document = shipped();
        let statuses = |path: &str, verb: &str| -> Vec<String> {
            document["paths"][path][verb]["responses"].as_object().unwrap().keys().cloned().collect()
        };
        assert_eq!(
            statuses("/v1/Login", "get"),
            ["200", "304", "400", "401", "403", "404", "412", "429", "500", "503"]
        );
        assert_eq!(
            statuses("/v1/Logins", "get"),
            ["200", "304", "400", "401", "403", "412", "429", "500", "503"]
        );
        assert_eq!(
            statuses("/v1/Login/{CvrNummer}", "put"),
            ["204", "400", "401", "403", "408", "412", "413", "415", "429", "500", "503", "507"]
        );
    }
}
