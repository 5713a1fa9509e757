//! A method on the page: the contract's tables, and beside them a call, its answer and its errors.

use maud::{Markup, html};

use super::example;
use super::language::Language;
use super::table;
use super::table::Row;
use super::texts;
use super::texts::PAGE;
use crate::api::problem::Kind;
use crate::api::spec::{EndpointSpec, Input, Text, Verb};
use crate::domain::access::{AccessMode, AccessTable, OrganisationType};

/// The columns of the tables of input and output.
const FIELDS: [&str; 5] = ["Element", "Type", "Detaljer", "Forekomst", "Beskrivelse"];
/// The columns of the table of a method's own errors.
const CODES: [&str; 3] = ["Fejlkode", "Fejltekst", "Beskrivelse"];

/// The method. What the contract prints stays Danish in every language of the page.
pub(super) fn render(
    declaration: &EndpointSpec,
    access_table: &AccessTable,
    language: Language,
    base: &str,
) -> Markup {
    let name = declaration.name();
    let say = |text: Text| language.of(text);
    let own = |error: &Kind| declaration.errors.iter().find(|own| own.kind == *error);
    html! {
        section.method aria-labelledby=(name) {
            h3 id=(name) {
                (name) " " span.route { "(" (declaration.verb.name()) " " (declaration.path) ")" }
            }
            p {
                (say(declaration.summary))
                @for (index, form) in declaration.path_aliases.iter().enumerate() {
                    @if index == 0 { " " (say(PAGE.path_aliases)) } @else { ", " }
                    code { (form) }
                }
                @if !declaration.path_aliases.is_empty() { "." }
            }
            div.contract lang="da" {
                h4 { "Tilladte organisationer" }
                (organisations(declaration, access_table))
                h4 { "Scope" }
                p { code { (declaration.scope()) } }
                h4 { "Input" }
                (fields(name, "Input", &table::input(declaration)))
                h4 { "Output" }
                (fields(name, "Output", &table::output(declaration)))
                h4 { "Fejlkoder" }
                @if declaration.errors.is_empty() {
                    p { "Ingen fejlkoder" }
                } @else {
                    (framed(name, "Fejlkoder", &CODES, html! {
                        @for (kind, error) in declaration.faults().filter_map(|kind| Some((kind, own(&kind)?))) {
                            tr {
                                th scope="row" { (kind.row().1) }
                                td { (kind.row().2) }
                                td { (error.description) }
                            }
                        }
                    }))
                }
            }
            div.example {
                h4 { (say(PAGE.call)) }
                (code(&format!("{name}: {}", say(PAGE.call)), &curl(declaration, base)))
                h4 { (say(PAGE.answer)) }
                (success(declaration, language))
                h4 { (say(PAGE.all_errors)) }
                (errors(declaration, language))
            }
        }
    }
}

/// The marks of the loaded table of access: a row for each organisation type that has any.
fn organisations(declaration: &EndpointSpec, access_table: &AccessTable) -> Markup {
    let rows = OrganisationType::ALL.map(|row| (row, access_table.allowed(declaration.method, row)));
    if rows.iter().all(|(_, modes)| modes.is_empty()) {
        return html! { p { "Ingen organisationer" } };
    }
    let caption = "Tilladte organisationer";
    let id = format!("{}-organisationer", declaration.name());
    html! {
        div.table role="region" aria-labelledby=(id) tabindex="0" {
            table.marks {
                caption id=(id) { (declaration.name()) ": " (caption) }
                thead {
                    tr {
                        td {}
                        @for mode in AccessMode::ALL { th scope="col" { (mode.heading()) } }
                    }
                }
                tbody {
                    @for (organisation, modes) in rows.into_iter().filter(|(_, modes)| !modes.is_empty()) {
                        tr {
                            th scope="row" { (organisation.name()) }
                            @for mode in AccessMode::ALL {
                                td { @if modes.contains(mode) { "X" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The table of a method's input or output, or the contract's word for none.
fn fields(name: &str, what: &str, rows: &[Row]) -> Markup {
    if rows.is_empty() {
        return html! { p { "Intet " (what.to_lowercase()) } };
    }
    framed(
        name,
        what,
        &FIELDS,
        html! {
            @for row in rows {
                tr {
                    th scope="row" { (row.element) }
                    td { (row.kind) }
                    td { (row.details) }
                    td { (row.occurrence) }
                    td { (row.description) }
                }
            }
        },
    )
}

/// A table that scrolls within itself where the screen is narrow.
fn framed(name: &str, what: &str, columns: &[&str], rows: Markup) -> Markup {
    let id = format!("{name}-{}", what.to_lowercase().replace(' ', "-"));
    html! {
        div.table role="region" aria-labelledby=(id) tabindex="0" {
            table {
                caption id=(id) { (name) ": " (what) }
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
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
pub(super) fn curl(declaration: &EndpointSpec, base: &str) -> String {
    let path = match declaration.segment {
        Some(segment) => declaration.path.replace(&format!("{{{}}}", segment.name), example::CVR_NUMMER),
        None => declaration.path.to_owned(),
    };
    let query = match declaration.input {
        Input::Query(_) => {
            let names: Vec<String> = table::input(declaration)
                .into_iter()
                .map(|row| format!("{}={}", row.element, example::CVR_NUMMER))
                .collect();
            format!("?{}", names.join("&"))
        }
        Input::Nothing | Input::Body(_) => String::new(),
    };
    let verb = match declaration.verb {
        Verb::Get => String::new(),
        other => format!(" -X {}", other.name()),
    };
    let body = declaration.body().map(|_| {
        let text = String::from_utf8_lossy(&example::request()).into_owned();
        format!(" -H 'Content-Type: application/json' -d '{text}'")
    });
    format!(
        "curl -i{verb} '{base}{path}{query}' -H \"Authorization: Bearer $TOKEN\"{}",
        body.unwrap_or_default()
    )
}

/// The answer to that call, made by the serialiser.
fn success(declaration: &EndpointSpec, language: Language) -> Markup {
    let label = format!("{}: {}", declaration.name(), language.of(PAGE.answer));
    match &declaration.output {
        Some(_) => html! {
            p { "200, " code { "application/json" } }
            (code(&label, &String::from_utf8_lossy(&example::output(declaration.method))))
        },
        None => html! { p { "204, " (language.of(PAGE.no_body)) } },
    }
}

fn errors(declaration: &EndpointSpec, language: Language) -> Markup {
    let columns = ["Status", "Fejlkode", "Fejltekst", language.of(PAGE.when)];
    let rows = html! {
        @for kind in declaration.faults() {
            @let (status, code, text) = kind.row();
            tr {
                th scope="row" { (status.as_u16()) }
                td { (code) }
                td lang="da" { (text) }
                td { (language.of(texts::when(kind))) }
            }
        }
    };
    framed(declaration.name(), language.of(PAGE.all_errors), &columns, rows)
}
