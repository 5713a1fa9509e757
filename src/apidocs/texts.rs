//! When a call ends in an error, for the page and the OpenAPI document.

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
            en: "The method's table does not allow the organisation type or the access mode.",
        },
        Kind::BadRequest => Text {
            da: "Forespørgslen kan ikke læses eller bryder en regel; fejl nævner alle de fejl, der blev fundet.",
            en: "The request cannot be read or breaks a rule; fejl lists every error that was found.",
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
        Kind::Internal => Text { da: "En fejl i tjenesten selv.", en: "An error in the service itself." },
        Kind::Unavailable => Text {
            da: "Tjenesten kan ikke svare lige nu; vent, så længe Retry-After siger.",
            en: "The service cannot answer now; wait as long as Retry-After says.",
        },
        Kind::DiskFull => Text {
            da: "Tjenesten kan ikke gemme lige nu; vent, så længe Retry-After siger.",
            en: "The service cannot store anything now; wait as long as Retry-After says.",
        },
        // No call of a method ends in these.
        Kind::PathUnknown | Kind::VerbNotAllowed | Kind::Misdirected => Text { da: "", en: "" },
    }
}
