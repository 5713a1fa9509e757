//! A method on the page: the contract's tables, and beside them a call, its answer and its errors.

use maud::{Markup, html};

use super::language::Language;
use super::table::{self, FieldRow};
use super::{example, texts};
use crate::api::spec::{EndpointSpec, Input, Text, Verb};
use crate::domain::access::{AccessMode, AccessTable, OrganisationType};

/// The columns of the tables of input and output.
const FIELDS: [&str; 5] = ["Element", "Type", "Detaljer", "Forekomst", "Beskrivelse"];
/// The columns of the table of a method's own errors.
const CODES: [&str; 3] = ["Fejlkode", "Fejltekst", "Beskrivelse"];

const PATH_ALIASES: Text = Text { da: "Stien kan også skrives ", en: "The path may also be written " };
const CALL: Text = Text { da: "Kald", en: "Call" };
const ANSWER: Text = Text { da: "Svar", en: "Answer" };
const NO_BODY: Text = Text { da: "uden krop", en: "without a body" };
const ALL_ERRORS: Text = Text { da: "Alle svar, der er en fejl", en: "Every answer that is an error" };
const WHEN: Text = Text { da: "Hvornår", en: "When" };

/// The method. What the contract prints stays Danish in every language of the page.
pub(super) fn render(
    endpoint: &EndpointSpec,
    access_table: &AccessTable,
    language: Language,
    base: &str,
) -> Markup {
    let name = endpoint.name();
    let say = |text: Text| language.of(text);
    html! {
        section.method aria-labelledby=(name) {
            h3 id=(name) {
                (name) " " span.route { "(" (endpoint.verb.name()) " " (endpoint.path) ")" }
            }
            p {
                (say(endpoint.summary))
                @for (index, alias) in endpoint.path_aliases.iter().enumerate() {
                    @if index == 0 { " " (say(PATH_ALIASES)) } @else { ", " }
                    code { (alias) }
                }
                @if !endpoint.path_aliases.is_empty() { "." }
            }
            div.contract lang="da" {
                h4 { "Tilladte organisationer" }
                (organisations(endpoint, access_table))
                h4 { "Scope" }
                p { code { (endpoint.scope()) } }
                h4 { "Input" }
                (fields(name, "Input", &table::input(endpoint)))
                h4 { "Output" }
                (fields(name, "Output", &table::output(endpoint)))
                h4 { "Fejlkoder" }
                (own_errors(endpoint))
            }
            div.example {
                h4 { (say(CALL)) }
                (code(&format!("{name}: {}", say(CALL)), &curl(endpoint, base)))
                h4 { (say(ANSWER)) }
                @if endpoint.output.is_some() {
                    p { "200, " code { "application/json" } }
                    (code(&format!("{name}: {}", say(ANSWER)), &lossy(&example::output(endpoint.method))))
                } @else {
                    p { "204, " (say(NO_BODY)) }
                }
                h4 { (say(ALL_ERRORS)) }
                (all_errors(endpoint, language))
            }
        }
    }
}

/// What the loaded access table allows: a row for each organisation type that has any access mode.
fn organisations(endpoint: &EndpointSpec, access_table: &AccessTable) -> Markup {
    let rows = OrganisationType::ALL.map(|row| (row, access_table.allowed(endpoint.method, row)));
    if rows.iter().all(|(_, modes)| modes.is_empty()) {
        return html! { p { "Ingen organisationer" } };
    }
    let columns: Vec<_> = std::iter::once("").chain(AccessMode::ALL.map(AccessMode::heading)).collect();
    let rows = html! {
        @for (organisation, modes) in rows.into_iter().filter(|(_, modes)| !modes.is_empty()) {
            tr {
                th scope="row" { (organisation.name()) }
                @for mode in AccessMode::ALL {
                    td { @if modes.contains(mode) { "X" } }
                }
            }
        }
    };
    framed(endpoint.name(), "Tilladte organisationer", Some("marks"), &columns, rows)
}

/// The table of a method's input or output, or the contract's word for none.
fn fields(name: &str, what: &str, rows: &[FieldRow]) -> Markup {
    if rows.is_empty() {
        return html! { p { "Intet " (what.to_lowercase()) } };
    }
    let rows = html! {
        @for row in rows {
            tr {
                th scope="row" { (row.element) }
                td { (row.kind) }
                td { (row.details) }
                td { (row.occurrence) }
                td { (row.description) }
            }
        }
    };
    framed(name, what, None, &FIELDS, rows)
}

fn own_errors(endpoint: &EndpointSpec) -> Markup {
    if endpoint.errors.is_empty() {
        return html! { p { "Ingen fejlkoder" } };
    }
    let rows = html! {
        @for error in endpoint.errors {
            tr {
                @let (_, code, text) = error.row();
                th scope="row" { (code) }
                td { (text) }
                td { (text) }
            }
        }
    };
    framed(endpoint.name(), "Fejlkoder", None, &CODES, rows)
}

fn all_errors(endpoint: &EndpointSpec, language: Language) -> Markup {
    let columns = ["Status", "Fejlkode", "Fejltekst", language.of(WHEN)];
    let rows = html! {
        @for kind in endpoint.faults() {
            @let (status, code, text) = kind.row();
            tr {
                th scope="row" { (status.as_u16()) }
                td { (code) }
                td lang="da" { (text) }
                td { (language.of(texts::when(kind))) }
            }
        }
    };
    framed(endpoint.name(), language.of(ALL_ERRORS), None, &columns, rows)
}

/// A table that scrolls within itself where the screen is narrow.
fn framed(name: &str, what: &str, class: Option<&str>, columns: &[&str], rows: Markup) -> Markup {
    let id = format!("{name}-{}", what.to_lowercase().replace(' ', "-"));
    html! {
        div.table role="region" aria-labelledby=(id) tabindex="0" {
            table class=[class] {
                caption id=(id) { (name) ": " (what) }
                thead {
                    tr {
                        @for column in columns {
                            @if column.is_empty() { td {} } @else { th scope="col" { (column) } }
                        }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}

/// A block of code that scrolls within itself.
pub(super) fn code(label: &str, text: &str) -> Markup {
    html! { pre role="region" aria-label=(label) tabindex="0" { code { (text) } } }
}

/// A line that calls the method as it is pasted, once `TOKEN` holds a token.
pub(super) fn curl(endpoint: &EndpointSpec, base: &str) -> String {
    let mut path = endpoint.path.to_owned();
    if let Some(segment) = endpoint.segment {
        path = path.replace(&format!("{{{}}}", segment.name), example::CVR_NUMMER);
    }
    let (mut query, mut body) = (String::new(), String::new());
    match endpoint.input {
        Input::Nothing => {}
        Input::Query(_) => {
            let parameter = |row: FieldRow| format!("{}={}", row.element, example::CVR_NUMMER);
            let parameters: Vec<_> = table::input(endpoint).into_iter().map(parameter).collect();
            query = format!("?{}", parameters.join("&"));
        }
        Input::Body(_) => {
            body = format!(" -H 'Content-Type: application/json' -d '{}'", lossy(&example::request()));
        }
    }
    let verb = if endpoint.verb == Verb::Get { "" } else { " -X PUT" };
    format!("curl -i{verb} '{base}{path}{query}' -H \"Authorization: Bearer $TOKEN\"{body}")
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}
