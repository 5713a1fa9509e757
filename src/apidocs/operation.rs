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

use super::example;
use super::{table, texts};
use crate::api::problem::{Kind, ProblemDto};
use crate::api::request_id;
use crate::api::spec::{Body, EndpointSpec, Input, TypeSchema, Verb};
use crate::domain::access::{AccessTable, Method, OrganisationType};
use crate::telemetry::trace_context;

/// What the security scheme is called in the document.
pub(super) const SCHEME: &str = "adgangstoken";
/// What the methods are gathered under.
pub(super) const TAG: &str = "Virksomhedslogin";

/// Where the table of access stands in an operation.
const ACCESS: &str = "x-tilladte-organisationer";

/// The operation.
pub(super) fn of(declaration: &EndpointSpec, access_table: &AccessTable) -> Operation {
    let mut operation = OperationBuilder::new()
        .tag(TAG)
        .operation_id(Some(declaration.name()))
        .summary(Some(declaration.summary.da))
        .description(Some(description(declaration)))
        .request_body(declaration.body().map(request_body))
        .security(SecurityRequirement::new(SCHEME, [declaration.scope()]))
        .extensions(Some(
            ExtensionsBuilder::new().add(ACCESS, access(declaration.method, access_table)).build(),
        ));
    for parameter in parameters(declaration) {
        operation = operation.parameter(parameter);
    }
    for (status, response) in responses(declaration) {
        operation = operation.response(status.to_string(), response);
    }
    operation.build()
}

fn description(declaration: &EndpointSpec) -> String {
    let path_aliases = match declaration.path_aliases {
        [] => String::new(),
        forms => format!(" Stien kan også skrives `{}`.", forms.join("`, `")),
    };
    format!("Kræver scope `{}`.{path_aliases}", declaration.scope())
}

/// The marks of the loaded table: organisation type → access modes.
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

fn parameters(declaration: &EndpointSpec) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    if let Some(segment) = &declaration.segment {
        let schema = Ref::from_schema_name(segment.schema_of.name());
        parameters.push(parameter(segment.name, ParameterIn::Path, true, segment.description.da, schema));
    }
    if let Input::Query(schema_of) = &declaration.input
        && let RefOr::T(Schema::Object(query)) = schema_of.schema()
    {
        for (name, member) in &query.properties {
            let required = query.required.contains(name);
            let description = table::described(member);
            parameters.push(parameter(name, ParameterIn::Query, required, &description, bare(member)));
        }
    }
    let id = text().min_length(Some(1)).max_length(Some(request_id::MAX_LENGTH));
    let id = id.pattern(Some(request_id::PATTERN)).examples([example::REQUEST_ID]);
    parameters.push(parameter(request_id::FIELD, ParameterIn::Header, false, texts::REQUEST_ID_SENT, id));
    let trace = text().examples([example::TRACE]);
    parameters.push(parameter(trace_context::FIELD, ParameterIn::Header, false, texts::TRACE_SENT, trace));
    let tag = text().examples(["*"]);
    parameters.push(parameter("If-Match", ParameterIn::Header, false, texts::IF_MATCH, tag));
    if declaration.verb == Verb::Get {
        let tag = text().examples([r#"W/"1a20b3a43a3-1a20b3a43a3""#]);
        parameters.push(parameter("If-None-Match", ParameterIn::Header, false, texts::IF_NONE_MATCH, tag));
        let coding = text().examples(["gzip"]);
        parameters.push(parameter("Accept-Encoding", ParameterIn::Header, false, texts::CODING, coding));
    }
    parameters
}

/// The member's schema without what is said of the member, which its parameter says.
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

fn header(description: &str, schema: ObjectBuilder) -> Header {
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}

/// Every answer that a call may get, by status.
fn responses(declaration: &EndpointSpec) -> BTreeMap<u16, Response> {
    let mut responses = BTreeMap::new();
    match &declaration.output {
        Some(output) => {
            let body = content(output.schema_of, &example::output(declaration.method));
            responses.insert(200, read(texts::FOUND).content("application/json", body).build());
            responses.insert(304, read(texts::UNCHANGED).build());
        }
        None => {
            responses.insert(204, answered(texts::RECORDED).build());
        }
    }
    for status in declaration.faults().map(|kind| kind.row().0.as_u16()) {
        responses.entry(status).or_insert_with(|| {
            let kinds: Vec<Kind> =
                declaration.faults().filter(|kind| kind.row().0.as_u16() == status).collect();
            told(&kinds)
        });
    }
    responses
}

/// An answer, with the headers that all of them have.
fn answered(description: &str) -> ResponseBuilder {
    let id = text().min_length(Some(1)).max_length(Some(request_id::MAX_LENGTH));
    let trace = text().pattern(Some(trace_context::PATTERN));
    ResponseBuilder::new()
        .description(description)
        .header(request_id::FIELD, header(texts::REQUEST_ID_RETURNED, id.examples([example::REQUEST_ID])))
        .header(trace_context::FIELD, header(texts::TRACE_RETURNED, trace.examples([example::TRACE])))
}

/// An answer of a read.
fn read(description: &str) -> ResponseBuilder {
    let answer = answered(description)
        .header("ETag", header(texts::ETAG, text()))
        .header("Cache-Control", header(texts::CACHE_CONTROL, text()))
        .header("Vary", header(texts::VARY, text()));
    if description == texts::UNCHANGED {
        return answer;
    }
    answer
        .header("Last-Modified", header(texts::LAST_MODIFIED, text()))
        .header("Content-Encoding", header(texts::CONTENT_ENCODING, text()))
}

/// The errors of one status in one response, an example for each.
fn told(kinds: &[Kind]) -> Response {
    let descriptions: Vec<String> =
        kinds.iter().map(|kind| format!("{} ({})", texts::when(*kind).da, kind.row().1)).collect();
    let examples = kinds.iter().map(|kind| {
        let value = serde_json::from_slice(&example::problem(*kind)).ok();
        let example = ExampleBuilder::new().summary(texts::when(*kind).da).value(value).build();
        (format!("{kind:?}"), RefOr::T(example))
    });
    let schema = Ref::from_schema_name(ProblemDto::name());
    let content = ContentBuilder::new().schema(Some(schema)).examples_from_iter(examples).build();
    let mut response = answered(&descriptions.join(" ")).content("application/problem+json", content);
    if kinds.iter().any(|kind| kind.challenges()) {
        response = response.header("WWW-Authenticate", header(texts::CHALLENGE, text()));
    }
    if kinds.iter().any(|kind| kind.is_temporary()) {
        let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
        response = response.header("Retry-After", header(texts::RETRY_AFTER, seconds));
    }
    response.build()
}
