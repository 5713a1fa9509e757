//! One method as an operation of OpenAPI: its parameters, its body, every answer it may give.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::{Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::{RequestBody, RequestBodyBuilder};
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{Ref, RefOr, Required, Schema};

use super::{example, table, texts};
use crate::api::problem::Kind;
use crate::api::request_id;
use crate::api::response::ProblemDto;
use crate::api::spec::{Body, EndpointSpec, Input, TypeSchema, Verb};
use crate::domain::access::{AccessTable, Method, OrganisationType};
use crate::telemetry::trace_context;

/// The name of the security scheme.
pub(super) const SCHEME: &str = "adgangstoken";
pub(super) const TAG: &str = "Virksomhedslogin";

/// The extension that holds the access table.
const ACCESS: &str = "x-tilladte-organisationer";

pub(super) fn of(endpoint: &EndpointSpec, access_table: &AccessTable) -> Operation {
    let mut operation = OperationBuilder::new()
        .tag(TAG)
        .operation_id(Some(endpoint.name()))
        .summary(Some(endpoint.summary.da))
        .description(Some(description(endpoint)))
        .request_body(endpoint.body().map(request_body))
        .security(SecurityRequirement::new(SCHEME, [endpoint.scope()]))
        .extensions(Some(
            ExtensionsBuilder::new().add(ACCESS, access(endpoint.method, access_table)).build(),
        ));
    for parameter in parameters(endpoint) {
        operation = operation.parameter(parameter);
    }
    for (status, response) in responses(endpoint) {
        operation = operation.response(status.to_string(), response);
    }
    operation.build()
}

fn description(endpoint: &EndpointSpec) -> String {
    let path_aliases = match endpoint.path_aliases {
        [] => String::new(),
        forms => format!(" Stien kan også skrives `{}`.", forms.join("`, `")),
    };
    format!("Kræver scope `{}`.{path_aliases}", endpoint.scope())
}

/// What the loaded access table allows: organisation type → access modes.
fn access(method: Method, access_table: &AccessTable) -> Value {
    let rows = OrganisationType::ALL.into_iter().map(|organisation| {
        let modes =
            access_table.allowed(method, organisation).iter().map(|mode| mode.name().into()).collect();
        (organisation.name().to_owned(), Value::Array(modes))
    });
    Value::Object(rows.filter(|(_, modes)| modes != &json!([])).collect())
}

fn request_body(body: &Body) -> RequestBody {
    RequestBodyBuilder::new()
        .required(Some(Required::True))
        .content("application/json", content(body.schema_of, &example::request()))
        .build()
}

/// A JSON body of this type, with this example of it.
fn content(schema_of: TypeSchema, example: &[u8]) -> Content {
    let schema = Ref::from_schema_name(schema_of.name());
    ContentBuilder::new().schema(Some(schema)).example(serde_json::from_slice(example).ok()).build()
}

fn parameters(endpoint: &EndpointSpec) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    if let Some(segment) = &endpoint.segment {
        let schema = Ref::from_schema_name(segment.schema_of.name());
        parameters.push(parameter(segment.name, ParameterIn::Path, true, segment.description.da, schema));
    }
    if let Input::Query(schema_of) = &endpoint.input
        && let RefOr::T(Schema::Object(query)) = schema_of.schema()
    {
        for (name, member) in &query.properties {
            let required = query.required.contains(name);
            let description = table::described(member);
            parameters.push(parameter(name, ParameterIn::Query, required, &description, bare(member)));
        }
    }
    let mut header = |name: &str, description: &str, schema: ObjectBuilder| {
        parameters.push(parameter(name, ParameterIn::Header, false, description, schema));
    };
    let id = request_id_schema().pattern(Some(request_id::PATTERN));
    header(
        request_id::FIELD,
        "Kaldets id, 1 til 46 synlige ASCII-tegn. Uden det finder tjenesten selv på et.",
        id,
    );
    header(
        trace_context::FIELD,
        "Den sporing, kaldet hører til (W3C Trace Context). En, der ikke kan læses, erstattes af en ny.",
        text().examples([example::TRACE]),
    );
    header(
        "If-Match",
        "ETag fra et tidligere svar om det samme: 412, hvis tilstanden siden er ændret. `*` kræver kun, at der er en.",
        text().examples(["*"]),
    );
    if endpoint.verb == Verb::Get {
        header(
            "If-None-Match",
            "ETag fra et tidligere svar: 304, så længe intet er ændret.",
            text().examples([r#"W/"1a20b3a43a3-1a20b3a43a3""#]),
        );
    }
    if is_compressed(endpoint) {
        let coding = text().examples(["gzip"]);
        header("Accept-Encoding", "gzip eller zstd giver et komprimeret svar.", coding);
    }
    parameters
}

/// The member's schema without its description, which the parameter has.
fn bare(member: &RefOr<Schema>) -> RefOr<Schema> {
    match member {
        RefOr::Ref(reference) => RefOr::Ref(Ref::new(reference.ref_location.as_str())),
        RefOr::T(schema) => RefOr::T(schema.clone()),
    }
}

fn parameter(
    name: &str,
    place: ParameterIn,
    required: bool,
    description: &str,
    schema: impl Into<RefOr<Schema>>,
) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(if required { Required::True } else { Required::False })
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn request_id_schema() -> ObjectBuilder {
    let id = text().min_length(Some(1)).max_length(Some(request_id::MAX_LENGTH));
    id.examples([example::REQUEST_ID])
}

/// Every answer that a call may get, by status.
fn responses(endpoint: &EndpointSpec) -> BTreeMap<u16, Response> {
    let mut errors: BTreeMap<u16, Vec<Kind>> = BTreeMap::new();
    for kind in endpoint.faults() {
        errors.entry(kind.row().0.as_u16()).or_default().push(kind);
    }
    let mut responses: BTreeMap<_, _> =
        errors.into_iter().map(|(status, kinds)| (status, error_response(&kinds))).collect();
    match &endpoint.output {
        Some(output) => {
            let body = content(output.schema_of, &example::output(endpoint.method));
            let mut found = read("Fundet.", endpoint).content("application/json", body);
            found = found.header("Last-Modified", header("Det seneste login i svaret, på sekundet.", text()));
            if is_compressed(endpoint) {
                let coding = header("gzip eller zstd, når svaret er komprimeret.", text());
                found = found.header("Content-Encoding", coding);
            }
            responses.insert(200, found.build());
            let unchanged = read("Uændret siden det svar, hvis ETag blev sendt.", endpoint);
            responses.insert(304, unchanged.build());
        }
        None => {
            responses.insert(204, response("Registreret og skrevet til disken.").build());
        }
    }
    responses
}

/// Whether its answer comes in the coding that the caller accepts; one login is shorter than its compressed form.
fn is_compressed(endpoint: &EndpointSpec) -> bool {
    endpoint.method == Method::GetLogins
}

/// An answer of a read, with a body or without.
fn read(description: &str, endpoint: &EndpointSpec) -> ResponseBuilder {
    let response = response(description)
        .header("ETag", header("Svarets svage mærke, til If-None-Match.", text()))
        .header("Cache-Control", header("Svaret må kun gemmes af den, der fik det.", text()));
    if is_compressed(endpoint) {
        return response.header("Vary", header("Accept-Encoding.", text()));
    }
    response
}

fn header(description: &str, schema: ObjectBuilder) -> Header {
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}

/// An answer, with the headers that all of them have.
fn response(description: &str) -> ResponseBuilder {
    let trace = text().pattern(Some(trace_context::PATTERN)).examples([example::TRACE]);
    ResponseBuilder::new()
        .description(description)
        .header(
            request_id::FIELD,
            header("Kaldets id: det, der blev sendt, ellers et, tjenesten fandt på.", request_id_schema()),
        )
        .header(
            trace_context::FIELD,
            header(
                "Kaldets sporing: den, der blev sendt, ellers en ny; med tjenestens eget id for kaldet.",
                trace,
            ),
        )
}

/// The errors of one status in one response, an example for each.
fn error_response(kinds: &[Kind]) -> Response {
    let descriptions: Vec<String> =
        kinds.iter().map(|kind| format!("{} ({})", texts::when(*kind).da, kind.row().1)).collect();
    let examples = kinds.iter().map(|kind| {
        let value = serde_json::from_slice(&example::problem(*kind)).ok();
        let example = ExampleBuilder::new().summary(texts::when(*kind).da).value(value).build();
        (format!("{kind:?}"), RefOr::T(example))
    });
    let schema = Ref::from_schema_name(ProblemDto::name());
    let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    let mut response = response(&descriptions.join(" ")).content("application/problem+json", content);
    if kinds.iter().any(|kind| kind.challenges()) {
        response = response.header("WWW-Authenticate", header("Hvad tokenet mangler (RFC 6750).", text()));
    }
    if kinds.iter().any(|kind| kind.is_temporary()) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        let header = header("Sekunder, før det samme kald kan sendes igen.", seconds);
        response = response.header("Retry-After", header);
    }
    response.build()
}
