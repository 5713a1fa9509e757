//! The OpenAPI document (3.1): the methods, their schemas, the table of errors and the access table.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::{RefOr, Schema};

use super::{example, table, texts};
use crate::api::problem::{Kind, ProblemDto};
use crate::api::request_id;
use crate::api::response::CvrNummer;
use crate::api::spec::{EndpointSpec, Input, TypeSchema, Verb};
use crate::domain::access::{AccessMode, AccessTable, Method, OrganisationType};
use crate::telemetry::trace_context;

/// The name of the security scheme.
const SCHEME: &str = "adgangstoken";
const TAG: &str = "Virksomhedslogin";

/// The document for this access table, as pretty JSON that ends with a line feed.
pub(crate) fn document(access_table: &AccessTable) -> String {
    let mut paths = Map::new();
    for endpoint in EndpointSpec::ALL {
        let verb = endpoint.verb.name().to_lowercase();
        paths.insert(endpoint.path.to_owned(), json!({ verb: operation(endpoint, access_table) }));
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
            "contact": { "name": "Tjenestens driftsansvarlige" },
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

/// The method: its parameters, its body, every answer it may give.
fn operation(endpoint: &EndpointSpec, access_table: &AccessTable) -> Value {
    let path_aliases = match endpoint.path_aliases {
        [] => String::new(),
        aliases => format!(" Stien kan også skrives `{}`.", aliases.join("`, `")),
    };
    // No parameter: a client that takes compressed answers sends the header itself, and a generated one would not unpack them.
    let codings = if is_list(endpoint) {
        " `Accept-Encoding: gzip` giver et komprimeret svar; `zstd` kan også vælges."
    } else {
        ""
    };
    let mut operation = json!({
        "tags": [TAG],
        "summary": endpoint.summary.da,
        "description": format!("Kræver scope `{}`.{path_aliases}{codings}", endpoint.scope()),
        "operationId": endpoint.name(),
        "parameters": parameters(endpoint),
    });
    if let Some(body) = endpoint.body() {
        operation["requestBody"] = json!({
            // Its example follows from the schemas: generators leave out one that is an object.
            "content": { "application/json": { "schema": reference(body.schema_of) } },
            "required": true,
        });
    }
    operation["responses"] = json!(responses(endpoint));
    // Linters know scopes beside a scheme of OAuth alone, which would need the issuer's address.
    operation["security"] = json!([{ SCHEME: [] }]);
    operation["x-scope"] = json!(endpoint.scope());
    operation["x-tilladte-organisationer"] = access(endpoint.method, access_table);
    operation
}

/// What the loaded access table allows: organisation type → access modes.
fn access(method: Method, access_table: &AccessTable) -> Value {
    let rows = OrganisationType::ALL.into_iter().filter_map(|organisation| {
        let modes = access_table.allowed(method, organisation);
        let names: Vec<_> = modes.iter().map(AccessMode::name).collect();
        (!modes.is_empty()).then(|| (organisation.to_string(), json!(names)))
    });
    Value::Object(rows.collect())
}

fn reference(schema_of: TypeSchema) -> Value {
    json!({ "$ref": format!("#/components/schemas/{}", schema_of.name()) })
}

/// A JSON body of this type, with this example of it.
fn content(schema_of: TypeSchema, example: &str) -> Value {
    json!({ "schema": reference(schema_of), "example": parsed(example) })
}

fn parsed(example: &str) -> Value {
    serde_json::from_str(example).unwrap_or_default()
}

/// Whether its answer comes in the coding that the caller accepts, and as what changed; one login is short enough.
fn is_list(endpoint: &EndpointSpec) -> bool {
    endpoint.method == Method::GetLogins
}

fn parameters(endpoint: &EndpointSpec) -> Vec<Value> {
    let mut parameters = Vec::new();
    let mut add = |name: &str, place: &str, description: &str, required: bool, schema: Value| {
        parameters.push(json!({
            "name": name, "in": place, "description": description, "required": required, "schema": schema,
        }));
    };
    if let Some(segment) = &endpoint.segment {
        add(segment.name, "path", segment.description.da, true, reference(segment.schema_of));
    }
    if let Input::Query(schema_of) = &endpoint.input {
        for (name, member, required) in table::members(&json!(schema_of.schema())) {
            let mut schema = member.clone();
            let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
            let description = description.as_ref().and_then(Value::as_str).unwrap_or_default();
            add(name, "query", description, required, schema);
        }
    }
    let mut header = |name, description, schema| add(name, "header", description, false, schema);
    let mut id = id_schema();
    id["pattern"] = json!(request_id::PATTERN);
    let description = "Kaldets id, 1 til 46 synlige ASCII-tegn. Uden det finder tjenesten selv på et.";
    header(request_id::FIELD, description, id);
    let description =
        "Den sporing, kaldet hører til (W3C Trace Context). En, der ikke kan læses, erstattes af en ny.";
    header(trace_context::FIELD, description, text(example::TRACE));
    let description = "ETag fra et tidligere svar om det samme: 412, hvis tilstanden siden er ændret. `*` kræver kun, \
                       at der er en.";
    header("If-Match", description, text("*"));
    if endpoint.verb == Verb::Get {
        let description = "ETag fra et tidligere svar: 304, så længe intet er ændret.";
        header("If-None-Match", description, text(&format!("W/\"{}\"", example::tag(endpoint.method))));
    }
    if is_list(endpoint) {
        let description =
            "feed beder om kun det, der er ændret siden tilstanden i If-None-Match (RFC 3229): 226.";
        header("A-IM", description, text("feed"));
    }
    parameters
}

/// The schema of a text.
fn text(example: &str) -> Value {
    json!({ "type": "string", "examples": [example] })
}

/// The schema of a request id.
fn id_schema() -> Value {
    let mut id = text(example::REQUEST_ID);
    (id["maxLength"], id["minLength"]) = (request_id::MAX_LENGTH.into(), 1.into());
    id
}

/// Every answer that a call may get, by status.
fn responses(endpoint: &EndpointSpec) -> BTreeMap<u16, Value> {
    let mut errors: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in endpoint.faults() {
        errors.entry(kind.row().0.as_u16()).or_default().push(kind);
    }
    let mut responses: BTreeMap<_, _> =
        errors.into_iter().map(|(status, kinds)| (status, error_response(&kinds))).collect();
    let Some(output) = &endpoint.output else {
        responses.insert(204, response("Registreret og skrevet til disken.", &[]));
        return responses;
    };
    let mut headers = vec![
        ("ETag", "Svarets svage mærke, til If-None-Match."),
        ("Cache-Control", "Svaret må kun gemmes af den, der fik det."),
    ];
    if is_list(endpoint) {
        headers.push(("Vary", "Accept-Encoding, A-IM."));
    }
    responses.insert(304, response("Uændret siden det svar, hvis ETag blev sendt.", &headers));
    headers.push(("Last-Modified", "Det seneste login i svaret, på sekundet."));
    if is_list(endpoint) {
        headers.push(("Content-Encoding", "gzip eller zstd, når svaret er komprimeret."));
    }
    let body = content(output.schema_of, &example::output(endpoint.method));
    let content = json!({ "application/json": body });
    let mut found = response("Fundet.", &headers);
    found["content"] = content.clone();
    responses.insert(200, found);
    if is_list(endpoint) {
        headers.push(("IM", "feed: svaret er kun det, der er ændret."));
        let mut changes = response(
            "Kun de virksomheder, der er ændret siden tilstanden i If-None-Match. En kopi af den, hvori de erstattes \
             eller tilføjes, er tilstanden i ETag.",
            &headers,
        );
        changes["content"] = content;
        responses.insert(226, changes);
    }
    responses
}

/// An answer with the headers that all of them have, and these.
fn response(description: &str, more: &[(&str, &str)]) -> Value {
    let mut trace = text(example::TRACE);
    trace["pattern"] = json!(trace_context::PATTERN);
    let id_text = "Kaldets id: det, der blev sendt, ellers et, tjenesten fandt på.";
    let trace_text = "Kaldets sporing: den, der blev sendt, ellers en ny; med tjenestens eget id for kaldet.";
    let mut headers = BTreeMap::from([
        (request_id::FIELD, header(id_text, id_schema())),
        (trace_context::FIELD, header(trace_text, trace)),
    ]);
    for (name, description) in more {
        let number = json!({ "type": "integer", "minimum": 1 });
        let schema = if *name == "Retry-After" { number } else { json!({ "type": "string" }) };
        headers.insert(name, header(description, schema));
    }
    json!({ "description": description, "headers": headers })
}

fn header(description: &str, schema: Value) -> Value {
    json!({ "schema": schema, "description": description })
}

/// The errors of one status in one response, an example for each.
fn error_response(kinds: &[Kind]) -> Value {
    let (mut descriptions, mut examples, mut headers) = (Vec::new(), BTreeMap::new(), Vec::new());
    for kind in kinds {
        let when = texts::when(*kind).da;
        descriptions.push(format!("{when} ({})", kind.row().1));
        let example = json!({ "summary": when, "value": parsed(&example::problem(*kind)) });
        examples.insert(format!("{kind:?}"), example);
        if kind.challenges() {
            headers.push(("WWW-Authenticate", "Hvad tokenet mangler (RFC 6750)."));
        }
        if kind.is_temporary() {
            headers.push(("Retry-After", "Sekunder, før det samme kald kan sendes igen."));
        }
    }
    let mut response = response(&descriptions.join(" "), &headers);
    let schema = reference(TypeSchema::of::<ProblemDto>());
    response["content"] = json!({ "application/problem+json": { "schema": schema, "examples": examples } });
    response
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(operation["security"], json!([{ SCHEME: [] }]));
            assert_eq!(operation["x-scope"], endpoint.scope());
        }
    }

    /// OpenAPI has generators ignore the first three; a client that is made to send the last gets bytes that it does not unpack.
    #[test]
    fn no_parameter_is_a_header_that_clients_set_themselves() {
        for endpoint in EndpointSpec::ALL {
            for parameter in parameters(endpoint) {
                let name = parameter["name"].as_str().unwrap();
                assert!(
                    !["Accept", "Content-Type", "Authorization", "Accept-Encoding"].contains(&name),
                    "{name}"
                );
            }
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
            ["200", "226", "304", "400", "401", "403", "412", "429", "500", "503"]
        );
        assert_eq!(
            statuses("/v1/Login/{CvrNummer}", "put"),
            ["204", "400", "401", "403", "408", "412", "413", "415", "429", "500", "503", "507"]
        );
    }
}
