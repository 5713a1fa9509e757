//! The OpenAPI document (3.1): the declared methods, their schemas, the table of errors and the table of access.

use utoipa::openapi::info::{InfoBuilder, LicenseBuilder};
use utoipa::openapi::path::{HttpMethod, PathItem, PathsBuilder};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::server::Server;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, ComponentsBuilder, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

use super::operation::{self, SCHEME, TAG};
use crate::api::problem::ProblemDto;
use crate::api::response::CvrNummer;
use crate::api::spec::{EndpointSpec, Input, TypeSchema, Verb};
use crate::domain::access::AccessTable;

/// The document over this table of access, as pretty JSON that ends with a line feed.
///
/// # Errors
/// When it cannot be written as JSON, which no request can cause.
pub(crate) fn document(access_table: &AccessTable) -> Result<String, serde_json::Error> {
    let paths = EndpointSpec::ALL.into_iter().fold(PathsBuilder::new(), |paths, declaration| {
        let verb = match declaration.verb {
            Verb::Get => HttpMethod::Get,
            Verb::Put => HttpMethod::Put,
        };
        paths.path(declaration.path, PathItem::new(verb, operation::of(declaration, access_table)))
    });
    let licence = LicenseBuilder::new()
        .name(env!("CARGO_PKG_LICENSE"))
        .identifier(Some(env!("CARGO_PKG_LICENSE")))
        .build();
    let info = InfoBuilder::new()
        .title("Virksomhedslogin")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Hvornår en virksomhed første gang og senest er logget ind på JobAG. STAR registrerer med SetLogin; \
             jobcentre og a-kasser læser med GetLogin og GetLogins. Dokumentet dannes af tjenestens egen kode og af den \
             adgangstabel, der gælder nu (`x-tilladte-organisationer`). En sti tager kun sine egne verber samt OPTIONS, og \
             HEAD hvor den tager GET; andre besvares med 405.",
        ))
        .license(Some(licence))
        .build();
    let tag = TagBuilder::new().name(TAG).description(Some("De tre metoder.")).build();
    let document = OpenApiBuilder::new()
        .info(info)
        .servers(Some([Server::new("/")]))
        .tags(Some([tag]))
        .paths(paths)
        .components(Some(components()))
        .build();
    Ok(document.to_pretty_json()? + "\n")
}

/// Every schema that a method refers to, the problem's, and the one way to authorise.
fn components() -> Components {
    let mut components = ComponentsBuilder::new()
        .schema(CvrNummer::name(), CvrNummer::schema())
        .schema(ProblemDto::name(), ProblemDto::schema())
        .schemas_from_iter(TypeSchema::of::<ProblemDto>().parts());
    for declaration in EndpointSpec::ALL {
        // The fields of a query are parameters, so that the type around them is nothing that is sent.
        let (whole, query) = match declaration.input {
            Input::Body(body) => (Some(body.schema_of), None),
            Input::Query(schema_of) => (None, Some(schema_of)),
            Input::Nothing => (None, None),
        };
        for schema_of in whole.into_iter().chain(declaration.output.map(|output| output.schema_of)) {
            components =
                components.schema(schema_of.name(), schema_of.schema()).schemas_from_iter(schema_of.parts());
        }
        components = components.schemas_from_iter(query.into_iter().flat_map(TypeSchema::parts));
    }
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(
        "Et signeret adgangstoken (RFC 9068) i headeren Authorization. Metodens scope skal stå i tokenet, og \
         organisationstype og adgang i tokenet skal have et kryds i metodens `x-tilladte-organisationer`.",
    ));
    components.security_scheme(SCHEME, SecurityScheme::Http(bearer.build())).build()
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
    fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
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
    fn it_is_3_1_and_names_version_licence_and_every_method() {
        let document = shipped();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(document["info"]["license"]["identifier"], "Apache-2.0");
        for declaration in EndpointSpec::ALL {
            let verb = declaration.verb.name().to_lowercase();
            let operation = &document["paths"][declaration.path][verb];
            assert_eq!(operation["operationId"], declaration.name());
            assert_eq!(operation["security"][0][SCHEME][0], declaration.scope());
        }
    }

    #[test]
    fn every_status_of_the_table_of_errors_stands_where_it_can_come() {
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
