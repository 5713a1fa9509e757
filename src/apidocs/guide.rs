//! "Kom godt i gang": what a partner needs to call the service for the first time, and to call it well.

use maud::{Markup, html};

use super::example;
use super::language::Language;
use super::method::{code, curl};
use crate::api::problem::Kind;
use crate::api::request_id::{FIELD as REQUEST_ID, MAX_LENGTH};
use crate::api::spec::{GET_LOGIN, GET_LOGINS, SET_LOGIN, Text};

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
/// The guide in this language, its calls to this address.
pub(super) fn render(language: Language, base: &str) -> Markup {
    let say = |da, en| language.say(da, en);
    // Gets the list, compressed, and only when it has changed since the last time.
    let poll = format!(
        "curl -fsS --compressed --etag-compare liste.etag --etag-save liste.etag -o liste.json {}",
        curl(&GET_LOGINS, base).replace("curl -i ", "")
    );
    html! {
        ol.steps {
            li {
                h3 { (say("Få et adgangstoken", "Get an access token")) }
                p {
                    (prose(say(
                        "Dit fagsystem henter et signeret adgangstoken (JWT) hos den tokenudsteder, som er \
                         aftalt for tjenesten. Det skal bære metodens scope (`{read}` for at læse, `{write}` \
                         for at registrere), jeres organisationstype og organisationskode og den adgang, I \
                         kalder med. Det sendes i headeren `Authorization`, aldrig i adressen.",
                        "Your system fetches a signed access token (JWT) from the issuer that was agreed on \
                         for this service. It must carry the method's scope (`{read}` to read, `{write}` to \
                         record), your organisation type and organisation code, and the access mode that you \
                         call in. It is sent in the header `Authorization`, never in the address.",
                    )))
                }
                (code(say("Tokenet i en variabel", "The token in a variable"), "TOKEN='eyJ…'"))
            }
            li {
                h3 { (say("Kald en metode", "Call a method")) }
                p {
                    (prose(say(
                        "Linjerne her på siden kan sættes direkte ind i en terminal. Adressen er den, du \
                         selv læser siden på; står der TLS foran tjenesten, så skriv `https`. Prøv også \
                         metoderne i",
                        "The lines on this page can be pasted into a terminal. Their address is the one at \
                         which you read the page; behind a TLS proxy, write `https`. The methods can also be \
                         tried in",
                    )))
                    " " a href="/swagger/" { "Swagger UI" } "."
                }
                (code(say("Et kald af GetLogin", "A call of GetLogin"), &curl(&GET_LOGIN, base)))
            }
            li {
                h3 { (say("Håndtér fejl", "Handle errors")) }
                p {
                    (prose(say(
                        "Enhver fejl er `application/problem+json`. Styr efter status og `fejlkode`; \
                         `fejltekst` er til mennesker.",
                        "Every error is `application/problem+json`. Decide by status and `fejlkode`; \
                         `fejltekst` is for people, in Danish.",
                    )))
                }
                (code(say("Eksempel på en fejl", "Example of an error"), &example::problem(Kind::CompanyUnknown)))
                ul { @for rule in ERROR_RULES { li { (prose(language.of(rule))) } } }
            }
            li {
                h3 { (say("Hent listen billigt", "Fetch the list cheaply")) }
                p {
                    (prose(say(
                        "GetLogins og GetLogin har en `ETag`. Send den med som `If-None-Match`, og svaret er \
                         304 uden krop, så længe intet er ændret. Bed om komprimering af listen med \
                         `Accept-Encoding: gzip`. Linjen her gør begge dele, hver gang den køres:",
                        "GetLogins and GetLogin carry an `ETag`. Send it back in `If-None-Match`, and the \
                         answer is a 304 without a body while nothing has changed. Ask for compression of \
                         the list with `Accept-Encoding: gzip`. This line does both each time it is run:",
                    )))
                }
                (code(say("Hent listen, når den er ændret", "Fetch the list when it has changed"), &poll))
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
