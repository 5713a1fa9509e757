//! The page at `/`: what surrounds the methods, in the order of the contract's page.

use maud::{DOCTYPE, Markup, html};

use super::document::fingerprint;
use super::guide::{self, Heading};
use super::language::{Language, PARAMETER};
use super::method;
use crate::api::spec::{EndpointSpec, Text};
use crate::domain::access::AccessTable;

const START: Heading = ("kom-godt-i-gang", Text { da: "Kom godt i gang", en: "Getting started" });
const METHODS: Heading = ("metoder", Text { da: "Metoder", en: "Methods" });
const TITLE: &str = "Virksomhedslogin";

/// What the page loads: the ending of its name, its subtype of `text`, its content.
type Asset = (&'static str, &'static str, &'static str);
const STYLE_SHEET: Asset = ("css", "css", include_str!("style.css"));
const SCRIPT: Asset = ("js", "javascript", include_str!("script.js"));
pub(super) const ASSETS: [Asset; 2] = [STYLE_SHEET, SCRIPT];

/// Its path, made of its content: a browser may keep it for ever, and a new one has a new path.
pub(super) fn asset_path((ending, _, content): Asset) -> String {
    format!("/assets/{}.{ending}", fingerprint(content.as_bytes()))
}

/// The page for this access table, whose calls go to this address.
pub(super) fn render(access_table: &AccessTable, language: Language, base: &str) -> String {
    let say = |da, en| language.say(da, en);
    html! {
        (DOCTYPE)
        html lang=(language.tag()) {
            (head(language))
            body {
                a.skip href="#indhold" { (say("Spring til indholdet", "Skip to the content")) }
                header {
                    div { p { (say("API-dokumentation", "API documentation")) } (switch(language)) }
                    div { p.brand { (TITLE) } p { "Version " (env!("CARGO_PKG_VERSION")) } }
                }
                div.layout {
                    (contents(language))
                    main #indhold tabindex="-1" {
                        h1 { (TITLE) }
                        p.lead {
                            // What the contract's page begins with; here it holds for the access table as well.
                            (say(
                                "Siden opdateres automatisk til at afspejle koden.",
                                "This page is generated from the running service and always shows what it does.",
                            ))
                        }
                        section aria-labelledby=(START.0) {
                            h2 id=(START.0) { (language.of(START.1)) }
                            (guide::render(language, base))
                        }
                        section aria-labelledby=(METHODS.0) {
                            h2 id=(METHODS.0) { (language.of(METHODS.1)) }
                            @for endpoint in EndpointSpec::ALL {
                                (method::render(endpoint, access_table, language, base))
                            }
                        }
                    }
                }
                footer { p { a href="/openapi.json" { "OpenAPI" } " · " a href="/swagger/" { "Swagger UI" } } }
                p role="status" data-copied=(say("Kopieret", "Copied"))
                    data-selected=(say("Markeret: kopiér med Ctrl+C eller ⌘C", "Selected: copy with Ctrl+C or ⌘C")) {}
            }
        }
    }
    .into_string()
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
            title { (TITLE) " – " (language.of(METHODS.1)) }
            link rel="stylesheet" href=(asset_path(STYLE_SHEET));
            script type="module" src=(asset_path(SCRIPT)) {}
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
    let link = |id, text| html! { a href={ "#" (id) } { (text) } };
    let heading = |(id, text): Heading| link(id, language.of(text));
    html! {
        nav.contents aria-label=(language.say("Indhold", "Contents")) {
            ul {
                li { (heading(START)) ul { @for (step, _) in guide::STEPS { li { (heading(step)) } } } }
                li {
                    (heading(METHODS))
                    ul { @for method in EndpointSpec::ALL { li { (link(method.name(), method.name())) } } }
                }
                li { a href="/openapi.json" { "OpenAPI" } }
                li { a href="/swagger/" { "Swagger UI" } }
            }
        }
    }
}

#[cfg(test)]
mod tests;
