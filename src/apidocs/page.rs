//! The page at `/`: what surrounds the methods, in the order of the contract's page.

use maud::{DOCTYPE, Markup, html};

use super::document::fingerprint;
use super::language::{Language, PARAMETER};
use super::{guide, method};
use crate::api::spec::{EndpointSpec, Text};
use crate::domain::access::AccessTable;

const START_HEADING: Text = Text { da: "Kom godt i gang", en: "Getting started" };
const METHODS_HEADING: Text = Text { da: "Metoder", en: "Methods" };
const TITLE: &str = "Virksomhedslogin";
const CONTENT: &str = "indhold";
const START: &str = "kom-godt-i-gang";
const METHODS: &str = "metoder";

pub(super) const STYLE_SHEET: &str = include_str!("style.css");

/// Its name below `/assets/`, made of its content: a browser may keep it for ever, and a new one has a new name.
pub(super) fn style_sheet_name() -> String {
    format!("{}.css", fingerprint(STYLE_SHEET.as_bytes()))
}

/// The page for this access table, whose calls go to this address.
pub(super) fn render(access_table: &AccessTable, language: Language, base: &str) -> String {
    let say = |da, en| language.say(da, en);
    let page = html! {
        (DOCTYPE)
        html lang=(language.tag()) {
            (head(language))
            body {
                a.skip href={ "#" (CONTENT) } { (say("Spring til indholdet", "Skip to the content")) }
                header {
                    div.bar {
                        p.brand { (TITLE) " " span.version { (env!("CARGO_PKG_VERSION")) } }
                        (switch(language))
                    }
                    (contents(language))
                }
                main id=(CONTENT) tabindex="-1" {
                    h1 { (TITLE) }
                    p.lead {
                        // What the contract's page begins with; here it holds for the access table as well.
                        (say(
                            "Siden opdateres automatisk til at afspejle koden.",
                            "This page is generated from the running service and always shows what it does.",
                        ))
                    }
                    section aria-labelledby=(START) {
                        h2 id=(START) { (language.of(START_HEADING)) }
                        (guide::render(language, base))
                    }
                    section aria-labelledby=(METHODS) {
                        h2 id=(METHODS) { (language.of(METHODS_HEADING)) }
                        @for endpoint in EndpointSpec::ALL {
                            (method::render(endpoint, access_table, language, base))
                        }
                    }
                }
                footer {
                    p {
                        (TITLE) " " (env!("CARGO_PKG_VERSION")) " · "
                        a href="/openapi.json" { "OpenAPI" } " · "
                        a href="/swagger/" { "Swagger UI" }
                    }
                }
            }
        }
    };
    page.into_string()
}

fn head(language: Language) -> Markup {
    let description = language.say(
        "Hvornår en virksomhed første gang og senest er logget ind på JobAG: metoderne, deres adgang og deres fejl.",
        "When a company first and last logged in to JobAG: the methods, who may call them, and their errors.",
    );
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta name="description" content=(description);
            title { (TITLE) " – " (language.of(METHODS_HEADING)) }
            link rel="stylesheet" href={ "/assets/" (style_sheet_name()) };
            @for other in Language::ALL {
                link rel="alternate" hreflang=(other.tag()) href=(address(other));
            }
        }
    }
}

fn address(language: Language) -> String {
    format!("/?{PARAMETER}={}", language.tag())
}

fn switch(language: Language) -> Markup {
    html! {
        nav.languages aria-label=(language.say("Sprog", "Language")) {
            ul {
                @for other in Language::ALL {
                    li {
                        a href=(address(other)) lang=(other.tag()) hreflang=(other.tag())
                            aria-current=[(other == language).then_some("true")] { (other.name()) }
                    }
                }
            }
        }
    }
}

fn contents(language: Language) -> Markup {
    html! {
        nav.contents aria-label=(language.say("Indhold", "Contents")) {
            ul {
                li { a href={ "#" (START) } { (language.of(START_HEADING)) } }
                @for endpoint in EndpointSpec::ALL {
                    li { a href={ "#" (endpoint.name()) } { (endpoint.name()) } }
                }
                li { a href="/openapi.json" { "OpenAPI" } }
                li { a href="/swagger/" { "Swagger UI" } }
            }
        }
    }
}

#[cfg(test)]
mod tests;
