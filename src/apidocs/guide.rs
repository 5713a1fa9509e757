//! "Kom godt i gang": what a partner needs to call the service for the first time, and to call it well.

use maud::{Markup, html};

use super::example;
use super::language::Language;
use super::method::{code, curl};
use crate::api::problem::Kind;
use crate::api::request_id::{FIELD as REQUEST_ID, MAX_LENGTH};
use crate::api::spec::{GET_LOGIN, GET_LOGINS, SET_LOGIN};

/// The guide in this language, its calls to this address.
pub(super) fn render(language: Language, base: &str) -> Markup {
    match language {
        Language::Danish => danish(base),
        Language::English => english(base),
    }
}

/// What is pasted before everything else.
const TOKEN: &str = "TOKEN='eyJ…'";

/// Fetches the list, compressed, and only when it has changed since it was fetched last.
fn poll(base: &str) -> String {
    let list = curl(&GET_LOGINS, base).replace("curl -i ", "");
    format!("curl -fsS --compressed --etag-compare liste.etag --etag-save liste.etag -o liste.json {list}")
}

fn problem() -> String {
    String::from_utf8_lossy(&example::problem(Kind::CompanyUnknown)).into_owned()
}

fn danish(base: &str) -> Markup {
    html! {
        ol.steps {
            li {
                h3 { "Få et adgangstoken" }
                p {
                    "Dit fagsystem henter et signeret adgangstoken (JWT) hos den tokenudsteder, som er aftalt for tjenesten. "
                    "Det skal bære metodens scope (" code { (GET_LOGIN.scope()) } " for at læse, "
                    code { (SET_LOGIN.scope()) } " for at registrere), jeres organisationstype og organisationskode og "
                    "den adgang, I kalder med. Det sendes i headeren " code { "Authorization" } ", aldrig i adressen."
                }
                (code("Tokenet i en variabel", TOKEN))
            }
            li {
                h3 { "Kald en metode" }
                p {
                    "Linjerne her på siden kan sættes direkte ind i en terminal. Adressen er den, du selv læser siden på; "
                    "står der TLS foran tjenesten, så skriv " code { "https" } ". Prøv også metoderne i "
                    a href="/swagger/" { "Swagger UI" } "."
                }
                (code("Et kald af GetLogin", &curl(&GET_LOGIN, base)))
            }
            li {
                h3 { "Håndtér fejl" }
                p {
                    "Enhver fejl er " code { "application/problem+json" } ". Styr efter status og " code { "fejlkode" }
                    "; " code { "fejltekst" } " er til mennesker."
                }
                (code("Eksempel på en fejl", &problem()))
                ul {
                    li { "401: hent et nyt token, og prøv én gang til." }
                    li { "403: kaldet er ikke tilladt; det hjælper ikke at gentage det." }
                    li {
                        "404 med " code { (Kind::CompanyUnknown.row().1) }
                        ": virksomheden har aldrig brugt JobAG. Det er et svar, ikke et nedbrud."
                    }
                    li { "400: " code { "fejl" } " nævner alle de felter, der skal rettes." }
                    li {
                        "429, 503 og 507: vent det antal sekunder, som " code { "Retry-After" }
                        " siger, og send det samme kald igen. SetLogin må gentages frit."
                    }
                    li {
                        "Send gerne " code { (REQUEST_ID) } " (højst " (MAX_LENGTH)
                        " tegn). Det kommer igen i svaret og står i tjenestens log; oplys det, når du beder om hjælp."
                    }
                }
            }
            li {
                h3 { "Hent listen billigt" }
                p {
                    "GetLogins og GetLogin har en " code { "ETag" } ". Send den med som " code { "If-None-Match" }
                    ", og svaret er 304 uden krop, så længe intet er ændret. Bed om komprimering med "
                    code { "Accept-Encoding: gzip" } ". Linjen her gør begge dele, hver gang den køres:"
                }
                (code("Hent listen, når den er ændret", &poll(base)))
            }
        }
    }
}

fn english(base: &str) -> Markup {
    html! {
        ol.steps {
            li {
                h3 { "Get an access token" }
                p {
                    "Your system fetches a signed access token (JWT) from the issuer that was agreed on for this service. It "
                    "must carry the method's scope (" code { (GET_LOGIN.scope()) } " to read, "
                    code { (SET_LOGIN.scope()) } " to record), your organisation type and organisation code, and the access "
                    "mode that you call in. It is sent in the header " code { "Authorization" } ", never in the address."
                }
                (code("The token in a variable", TOKEN))
            }
            li {
                h3 { "Call a method" }
                p {
                    "The lines on this page can be pasted into a terminal. Their address is the one at which you read the "
                    "page; where TLS stands before the service, write " code { "https" } ". The methods can also be tried in "
                    a href="/swagger/" { "Swagger UI" } "."
                }
                (code("A call of GetLogin", &curl(&GET_LOGIN, base)))
            }
            li {
                h3 { "Handle errors" }
                p {
                    "Every error is " code { "application/problem+json" } ". Decide by status and " code { "fejlkode" }
                    "; " code { "fejltekst" } " is for people, in Danish."
                }
                (code("Example of an error", &problem()))
                ul {
                    li { "401: fetch a new token and try once more." }
                    li { "403: the call is not allowed; repeating it does not help." }
                    li {
                        "404 with " code { (Kind::CompanyUnknown.row().1) }
                        ": the company has never used JobAG. That is an answer, not a failure."
                    }
                    li { "400: " code { "fejl" } " lists every field that must be mended." }
                    li {
                        "429, 503 and 507: wait as many seconds as " code { "Retry-After" }
                        " says and send the same call again. SetLogin may be repeated freely."
                    }
                    li {
                        "Send an " code { (REQUEST_ID) } " if you like (at most " (MAX_LENGTH)
                        " characters). It comes back in the answer and stands in the service's log; tell it when you ask "
                        "for help."
                    }
                }
            }
            li {
                h3 { "Fetch the list cheaply" }
                p {
                    "GetLogins and GetLogin carry an " code { "ETag" } ". Send it back in " code { "If-None-Match" }
                    ", and the answer is a 304 without a body while nothing has changed. Ask for compression with "
                    code { "Accept-Encoding: gzip" } ". This line does both each time it is run:"
                }
                (code("Fetch the list when it has changed", &poll(base)))
            }
        }
    }
}
