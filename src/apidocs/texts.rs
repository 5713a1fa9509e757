//! What the documentation says in short texts: of errors, of headers, of the parts of the page.

use crate::api::problem::Kind;
use crate::api::spec::Text;

/// When a call ends in this error.
pub(super) const fn when(kind: Kind) -> Text {
    match kind {
        Kind::Unauthorised => Text {
            da: "Intet adgangstoken, eller et der ikke godtages: forkert, udløbet eller til en anden tjeneste.",
            en: "No access token, or one that is not accepted: wrong, expired or meant for another service.",
        },
        Kind::AmbiguousCredentials => Text {
            da: "To Authorization-headere, eller et token i adressen ved siden af headeren.",
            en: "Two Authorization headers, or a token in the address beside the header.",
        },
        Kind::ScopeMissing => {
            Text { da: "Tokenet har ikke metodens scope.", en: "The token lacks the method's scope." }
        }
        Kind::AccessDenied => Text {
            da: "Organisationstypen eller adgangen har intet kryds i metodens tabel.",
            en: "The organisation type or the access mode has no mark in the method's table.",
        },
        Kind::BadRequest => Text {
            da: "Forespørgslen kan ikke læses eller bryder en regel; fejl nævner alle de fejl, der blev fundet.",
            en: "The request cannot be read or breaks a rule; fejl lists every fault that was found.",
        },
        Kind::PathUnknown => Text { da: "Stien findes ikke.", en: "There is no such path." },
        Kind::VerbNotAllowed => Text {
            da: "Stien findes, men ikke med dette verbum; Allow nævner dem, den tager.",
            en: "The path exists, but not with this verb; Allow lists those that it takes.",
        },
        Kind::Misdirected => Text {
            da: "Driftsadressen er kaldt under et navn eller fra en webside.",
            en: "The management listener was called under a name, or from a web page.",
        },
        Kind::BodyTimeout => Text {
            da: "Kroppen kom ikke frem i tide; forbindelsen lukkes.",
            en: "The body did not arrive in time; the connection is closed.",
        },
        Kind::BodyTooLarge => {
            Text { da: "Kroppen fylder mere end 16 KiB.", en: "The body is larger than 16 KiB." }
        }
        Kind::MediaTypeUnsupported => {
            Text { da: "Kroppen er ikke mærket som JSON.", en: "The body is not marked as JSON." }
        }
        Kind::CodingUnsupported => Text {
            da: "Kroppen er komprimeret eller på anden måde kodet (Content-Encoding).",
            en: "The body is compressed or coded in another way (Content-Encoding).",
        },
        Kind::CompanyUnknown => Text {
            da: "Virksomheden er aldrig logget ind på JobAG.",
            en: "The company has never logged in to JobAG.",
        },
        Kind::PreconditionFailed => Text {
            da: "If-Match nævner ikke den nuværende tilstand (eller ved SetLogin: If-None-Match nævner den); intet er skrevet.",
            en: "If-Match does not name the present state (or with SetLogin, If-None-Match names it); nothing was written.",
        },
        Kind::TooManyRequests => Text {
            da: "Samme klient har kaldt for mange gange på kort tid; vent, så længe Retry-After siger.",
            en: "The same client has called too often in a short time; wait as long as Retry-After says.",
        },
        Kind::Internal => Text { da: "En fejl i tjenesten selv.", en: "A fault in the service itself." },
        Kind::Unavailable => Text {
            da: "Tjenesten kan ikke svare lige nu; vent, så længe Retry-After siger.",
            en: "The service cannot answer now; wait as long as Retry-After says.",
        },
        Kind::DiskFull => Text {
            da: "Tjenesten kan ikke gemme lige nu; vent, så længe Retry-After siger.",
            en: "The service cannot store anything now; wait as long as Retry-After says.",
        },
    }
}

pub(super) const REQUEST_ID_SENT: &str =
    "Kaldets id, 1 til 46 synlige ASCII-tegn. Uden det finder tjenesten selv på et.";
pub(super) const REQUEST_ID_RETURNED: &str =
    "Kaldets id: det, der blev sendt, ellers et, tjenesten fandt på.";
pub(super) const TRACE_SENT: &str =
    "Den sporing, kaldet hører til (W3C Trace Context). En, der ikke kan læses, erstattes af en ny.";
pub(super) const TRACE_RETURNED: &str =
    "Kaldets sporing: den, der blev sendt, ellers en ny; med tjenestens eget id for kaldet.";
pub(super) const IF_NONE_MATCH: &str = "ETag fra et tidligere svar: 304, så længe intet er ændret.";
pub(super) const IF_MATCH: &str = "ETag fra et tidligere svar om det samme: 412, hvis tilstanden siden er ændret. `*` kræver kun, at der er en.";
pub(super) const CODING: &str = "gzip eller zstd giver et komprimeret svar.";
pub(super) const FOUND: &str = "Fundet.";
pub(super) const UNCHANGED: &str = "Uændret siden det svar, hvis ETag blev sendt.";
pub(super) const RECORDED: &str = "Registreret og skrevet til disken.";
pub(super) const ETAG: &str = "Svarets svage mærke, til If-None-Match.";
pub(super) const CACHE_CONTROL: &str = "Svaret må kun gemmes af den, der fik det.";
pub(super) const VARY: &str = "Accept-Encoding.";
pub(super) const LAST_MODIFIED: &str = "Det seneste login i svaret, på sekundet.";
pub(super) const CONTENT_ENCODING: &str = "gzip eller zstd, når svaret er komprimeret.";
pub(super) const CHALLENGE: &str = "Hvad tokenet mangler (RFC 6750).";
pub(super) const RETRY_AFTER: &str = "Sekunder, før det samme kald kan sendes igen.";

/// The texts of the page that are no one's in particular.
pub(super) struct Page {
    pub(super) description: Text,
    pub(super) skip: Text,
    pub(super) contents: Text,
    pub(super) language: Text,
    pub(super) start: Text,
    pub(super) methods: Text,
    pub(super) path_aliases: Text,
    pub(super) call: Text,
    pub(super) answer: Text,
    pub(super) no_body: Text,
    pub(super) all_errors: Text,
    pub(super) when: Text,
}

pub(super) const PAGE: Page = Page {
    description: Text {
        da: "Hvornår en virksomhed første gang og senest er logget ind på JobAG: metoderne, deres adgang og deres fejl.",
        en: "When a company first and last logged in to JobAG: the methods, who may call them, and their errors.",
    },
    skip: Text { da: "Spring til indholdet", en: "Skip to the content" },
    contents: Text { da: "Indhold", en: "Contents" },
    language: Text { da: "Sprog", en: "Language" },
    start: Text { da: "Kom godt i gang", en: "Getting started" },
    methods: Text { da: "Metoder", en: "Methods" },
    path_aliases: Text { da: "Stien kan også skrives ", en: "The path may also be written " },
    call: Text { da: "Kald", en: "Call" },
    answer: Text { da: "Svar", en: "Answer" },
    no_body: Text { da: "uden krop", en: "without a body" },
    all_errors: Text { da: "Alle svar, der er en fejl", en: "Every answer that is an error" },
    when: Text { da: "Hvornår", en: "When" },
};
