//! "Kom godt i gang": what a partner needs to call the service for the first time, and to call it well.

use maud::{Markup, html};

use super::example;
use super::language::Language;
use super::method::{code, copied, curl};
use crate::api::problem::Kind;
use crate::api::request_id::{FIELD as REQUEST_ID, MAX_LENGTH};
use crate::api::spec::{GET_LOGIN, GET_LOGINS, SET_LOGIN, Text};
use crate::domain::access::Method;

/// Id and heading.
pub(super) type Heading = (&'static str, Text);

/// Each with what it says; [`render`] has the examples.
pub(super) const STEPS: [(Heading, Text); 4] = [
    (
        ("token", Text { da: "Få et adgangstoken", en: "Get an access token" }),
        Text {
            da: "Dit fagsystem henter et signeret adgangstoken (JWT) hos den tokenudsteder, som er aftalt for \
                 tjenesten. Det skal bære metodens scope (`{read}` for at læse, `{write}` for at registrere), jeres \
                 organisationstype og organisationskode og den adgang, I kalder med. Det sendes i headeren \
                 `Authorization`, aldrig i adressen.",
            en: "Your system fetches a signed access token (JWT) from the issuer that was agreed on for this \
                 service. It must carry the method's scope (`{read}` to read, `{write}` to record), your \
                 organisation type and organisation code, and the access mode that you call in. It is sent in the \
                 header `Authorization`, never in the address.",
        },
    ),
    (
        ("kald", Text { da: "Kald en metode", en: "Call a method" }),
        Text {
            da: "Linjerne her på siden kan sættes direkte ind i en terminal; de kalder den adresse, som tjenesten \
                 nås på.",
            en: "The lines on this page can be pasted into a terminal; they call the address at which the service \
                 is reached.",
        },
    ),
    (
        ("fejl", Text { da: "Håndtér fejl", en: "Handle errors" }),
        Text {
            da: "Enhver fejl er `application/problem+json`. Styr efter status og `fejlkode`; `fejltekst` er til \
                 mennesker.",
            en: "Every error is `application/problem+json`. Decide by status and `fejlkode`; `fejltekst` is for \
                 people, in Danish.",
        },
    ),
    (
        ("aendringer", Text { da: "Hent kun det, der er ændret", en: "Fetch only what changed" }),
        Text {
            da: "GetLogins og GetLogin har en `ETag`. Send den med som `If-None-Match`, og svaret er 304 uden krop, \
                 så længe intet er ændret. Send også `A-IM: feed` til GetLogins, og svaret er kun de virksomheder, \
                 der er ændret siden (RFC 3229). Bed om komprimering med `Accept-Encoding: gzip`.",
            en: "GetLogins and GetLogin carry an `ETag`. Send it back in `If-None-Match`, and the answer is a 304 \
                 without a body while nothing has changed. Send `A-IM: feed` to GetLogins as well, and the answer \
                 is only the companies that changed since (RFC 3229). Ask for compression with \
                 `Accept-Encoding: gzip`.",
        },
    ),
];
const ERROR_RULES: [Text; 6] = [
    Text {
        da: "401: hent et nyt token, og prøv én gang til.",
        en: "401: fetch a new token and try once more.",
    },
    Text {
        da: "403: kaldet er ikke tilladt; det hjælper ikke at gentage det.",
        en: "403: the call is not allowed; repeating it does not help.",
    },
    Text {
        da: "404 med `{unknown}`: virksomheden har aldrig brugt JobAG. Det er et svar, ikke et nedbrud.",
        en: "404 with `{unknown}`: the company has never used JobAG. That is an answer, not a failure.",
    },
    Text {
        da: "400: `fejl` nævner alle de felter, der skal rettes.",
        en: "400: `fejl` lists every field that must be corrected.",
    },
    Text {
        da: "429, 503 og 507: vent det antal sekunder, som `Retry-After` siger, og send det samme kald igen. \
             SetLogin må gentages frit.",
        en: "429, 503 and 507: wait as many seconds as `Retry-After` says and send the same call again. SetLogin may \
             be repeated freely.",
    },
    Text {
        da: "Send gerne `{id}` (højst {length} tegn). Det kommer igen i svaret og står i tjenestens log; oplys det, \
             når du beder om hjælp.",
        en: "Send an `{id}` if you like (at most {length} characters). It comes back in the answer and is in the \
             service's log; quote it when you ask for help.",
    },
];
const POLL_RULES: [Text; 4] = [
    Text {
        da: "200: alt. Erstat hele din kopi. Det første svar er sådan, og svaret på et mærke, der er ukendt eller for \
             gammelt.",
        en: "200: everything. Replace your whole copy. The first answer is one, and so is that to a tag that is \
             unknown or too old.",
    },
    Text {
        da: "226: kun det, der er ændret. Erstat eller tilføj de virksomheder, svaret nævner.",
        en: "226: only what changed. Replace or add the companies that the answer names.",
    },
    Text { da: "304: intet er ændret. Behold din kopi.", en: "304: nothing changed. Keep your copy." },
    Text {
        da: "Gem listen og svarets `ETag` i én fil, og først når hele svaret er kommet: et mærke, der er nyere end \
             listen, skjuler for altid det, der mangler. Færdige programmer i shell, Python og Java følger med \
             tjenesten i `examples/polling`.",
        en: "Keep list and `ETag` in one file, and only once the whole answer has arrived: a tag newer than the list \
             hides what is missing for ever. Ready programs in shell, Python and Java come with the service in \
             `examples/polling`.",
    },
];
/// The guide in this language, its calls to this address.
pub(super) fn render(language: Language, base: &str) -> Markup {
    let poll = format!(
        "TAG='W/\"{}\"'\n{} \\\n  -H 'A-IM: feed' -H \"If-None-Match: $TAG\" --compressed",
        example::tag(Method::GetLogins),
        curl(&GET_LOGINS, base)
    );
    let swagger = language.say("Prøv også metoderne i Swagger UI", "Try the methods in Swagger UI as well");
    let call = html! {
        (copied(language, GET_LOGIN.name(), &curl(&GET_LOGIN, base)))
        p { a href="/swagger/" { (swagger) } "." }
    };
    let examples: [(Markup, &[Text]); 4] = [
        (code("TOKEN='eyJ…'"), &[]),
        (call, &[]),
        (code(&example::problem(Kind::CompanyUnknown)), &ERROR_RULES),
        (copied(language, GET_LOGINS.name(), &poll), &POLL_RULES),
    ];
    html! {
        ol.steps {
            @for (((id, heading), text), (example, rules)) in STEPS.into_iter().zip(examples) {
                li {
                    h3 id=(id) { (language.of(heading)) }
                    p { (prose(language.of(text))) }
                    (example)
                    @if !rules.is_empty() { ul { @for rule in rules { li { (prose(language.of(*rule))) } } } }
                }
            }
        }
    }
}

/// A text with names of the interface in braces and code between backticks.
fn prose(text: &str) -> Markup {
    let text = text
        .replace("{read}", GET_LOGIN.scope())
        .replace("{write}", SET_LOGIN.scope())
        .replace("{unknown}", Kind::CompanyUnknown.row().1)
        .replace("{id}", REQUEST_ID)
        .replace("{length}", &MAX_LENGTH.to_string());
    html! {
        @for (index, part) in text.split('`').enumerate() {
            @if index % 2 == 0 { (part) } @else { code { (part) } }
        }
    }
}
