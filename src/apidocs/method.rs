//! A method on the page: the contract's tables, and beside them a call, its answer and its errors.

use maud::{Markup, html};

use super::language::Language;
use super::table::{self, FieldRow};
use super::{example, texts};
use crate::api::spec::{EndpointSpec, Input, Verb};
use crate::domain::access::{AccessMode, AccessTable, OrganisationType};

/// The method. What the contract prints stays Danish in every language of the page.
pub(super) fn render(
    endpoint: &EndpointSpec,
    access_table: &AccessTable,
    language: Language,
    base: &str,
) -> Markup {
    let name = endpoint.name();
    let say = |da, en| language.say(da, en);
    let all_errors = say("Alle svar, der er en fejl", "Every answer that is an error");
    html! {
        section.method aria-labelledby=(name) {
            h3 id=(name) {
                (name) " " span.route { "(" (endpoint.verb.name()) " " (endpoint.path) ")" }
            }
            p {
                (language.of(endpoint.summary))
                @for (index, alias) in endpoint.path_aliases.iter().enumerate() {
                    @if index == 0 { " " (say("Stien kan også skrives ", "The path may also be written ")) }
                    @else { ", " }
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
                (fields(name, "Input", "Intet input", table::input(endpoint)))
                h4 { "Output" }
                (fields(name, "Output", "Intet output", table::output(endpoint)))
                h4 { "Fejlkoder" }
                (own_errors(endpoint))
            }
            div.example {
                h4 { (say("Kald", "Call")) }
                (copied(language, name, &curl(endpoint, base)))
                h4 { (say("Svar", "Answer")) }
                @if endpoint.output.is_some() {
                    p { "200, " code { "application/json" } }
                    (code(&example::output(endpoint.method)))
                } @else {
                    p { "204, " (say("uden krop", "without a body")) }
                }
                h4 { (all_errors) }
                (errors(endpoint, language, all_errors))
            }
        }
    }
}

/// The first cell of a row, which names it, and the others.
type Row = (String, Markup);

/// What the loaded access table allows: a row for each organisation type that has any access mode.
fn organisations(endpoint: &EndpointSpec, access_table: &AccessTable) -> Markup {
    let columns: Vec<_> = std::iter::once("").chain(AccessMode::ALL.map(AccessMode::heading)).collect();
    let rows = OrganisationType::ALL.into_iter().filter_map(|organisation| {
        let modes = access_table.allowed(endpoint.method, organisation);
        let cells = html! { @for mode in AccessMode::ALL { td { @if modes.contains(mode) { "X" } } } };
        (!modes.is_empty()).then(|| (organisation.to_string(), cells))
    });
    framed(endpoint.name(), "Tilladte organisationer", Some("marks"), "Ingen organisationer", &columns, rows)
}

/// The table of a method's input or output.
fn fields(name: &str, what: &str, none: &str, fields: Vec<FieldRow>) -> Markup {
    let columns = ["Element", "Type", "Detaljer", "Forekomst", "Beskrivelse"];
    let rows = fields.into_iter().map(|field| {
        let cells = html! {
            td { (field.kind) } td { (field.details) } td { (field.occurrence) } td { (field.description) }
        };
        (field.element, cells)
    });
    framed(name, what, None, none, &columns, rows)
}

fn own_errors(endpoint: &EndpointSpec) -> Markup {
    let rows = endpoint.errors.iter().map(|error| {
        let (_, code, text) = error.row();
        (code.to_owned(), html! { td { (text) } td { (text) } })
    });
    let columns = ["Fejlkode", "Fejltekst", "Beskrivelse"];
    framed(endpoint.name(), "Fejlkoder", None, "Ingen fejlkoder", &columns, rows)
}

fn errors(endpoint: &EndpointSpec, language: Language, what: &str) -> Markup {
    let rows = endpoint.faults().map(|kind| {
        let (status, code, text) = kind.row();
        let when = language.of(texts::when(kind));
        (status.as_u16().to_string(), html! { td { (code) } td lang="da" { (text) } td { (when) } })
    });
    let columns = ["Status", "Fejlkode", "Fejltekst", language.say("Hvornår", "When")];
    framed(endpoint.name(), what, None, "", &columns, rows)
}

/// A table that scrolls within itself where the screen is narrow; the word for `none` in place of one without rows.
fn framed(
    name: &str,
    what: &str,
    class: Option<&str>,
    none: &str,
    columns: &[&str],
    rows: impl Iterator<Item = Row>,
) -> Markup {
    let id = format!("{name}-{}", what.to_lowercase().replace(' ', "-"));
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        return html! { p { (none) } };
    }
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
                tbody { @for (head, cells) in rows { tr { th scope="row" { (head) } (cells) } } }
            }
        }
    }
}

pub(super) fn code(text: &str) -> Markup {
    html! { pre { code { (text) } } }
}

/// A call of the method, with the button that copies it where scripts run.
pub(super) fn copied(language: Language, method: &str, call: &str) -> Markup {
    let copy = language.say("Kopiér", "Copy");
    html! {
        div.call { (code(call)) button type="button" hidden aria-label={ (copy) " " (method) } { (copy) } }
    }
}

/// A call of the method as it is pasted, once `TOKEN` holds a token; no line is too long for a screen or for paper.
pub(super) fn curl(endpoint: &EndpointSpec, base: &str) -> String {
    let mut path = endpoint.path.to_owned();
    if let Some(segment) = endpoint.segment {
        path = path.replace(&format!("{{{}}}", segment.name), example::CVR_NUMMER);
    }
    let mut body = String::new();
    match endpoint.input {
        Input::Nothing => {}
        Input::Query(_) => {
            let parameter = |row: FieldRow| format!("{}={}", row.element, example::CVR_NUMMER);
            let parameters: Vec<_> = table::input(endpoint).into_iter().map(parameter).collect();
            path = format!("{path}?{}", parameters.join("&"));
        }
        Input::Body(_) => {
            body = format!(" \\\n  -H 'Content-Type: application/json' \\\n  -d '{}'", example::request());
        }
    }
    let verb = if endpoint.verb == Verb::Get { "" } else { " -X PUT" };
    format!("curl -i{verb} '{base}{path}' \\\n  -H \"Authorization: Bearer $TOKEN\"{body}")
}
