//! What each method is, declared once: verb, path, input, output and errors of its own.
//!
//! The routes, the verbs in `Allow` and the documentation are made from these declarations; name and scope are those of
//! [`Method`], and the fields of input and output those of the types named here. The texts are printed to callers, in Danish
//! and in English; where the contract's page has words, they are the page's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use strum::VariantArray;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::problem::Kind;
use super::{body, request, response};
use crate::domain::access::Method;

/// A text in the two languages of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Text {
    pub da: &'static str,
    pub en: &'static str,
}

/// The verb of a method. Reads are also answered to HEAD; every path answers OPTIONS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Put,
}

impl Verb {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
        }
    }

    /// The verbs that its path takes, as `Allow` lists them.
    pub(crate) const fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD, OPTIONS",
            Self::Put => "PUT, OPTIONS",
        }
    }
}

/// The schema of a type and of all that it refers to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TypeSchema {
    name: fn() -> Cow<'static, str>,
    schema: fn() -> RefOr<Schema>,
    parts: fn(&mut Vec<(String, RefOr<Schema>)>),
}

impl TypeSchema {
    pub(crate) const fn of<T: ToSchema>() -> Self {
        Self { name: T::name, schema: <T as PartialSchema>::schema, parts: T::schemas }
    }

    pub(crate) fn name(self) -> Cow<'static, str> {
        (self.name)()
    }

    pub(crate) fn schema(self) -> RefOr<Schema> {
        (self.schema)()
    }

    /// The schemas that the type refers to, by name.
    pub(crate) fn parts(self) -> BTreeMap<String, RefOr<Schema>> {
        let mut parts = Vec::new();
        (self.parts)(&mut parts);
        parts.into_iter().collect()
    }
}

/// A JSON body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body {
    /// What the page calls it as a whole.
    pub name: &'static str,
    pub schema_of: TypeSchema,
}

/// Where a method reads its input.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Input {
    Nothing,
    /// In the query: a parameter for each field of the type.
    Query(TypeSchema),
    /// In a JSON body.
    Body(Body),
}

/// The part of a path that varies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Segment {
    /// Its name, which is in braces in the path.
    pub name: &'static str,
    pub schema_of: TypeSchema,
    pub description: Text,
}

/// A method of the contract, as it is served.
#[derive(Debug)]
pub(crate) struct EndpointSpec {
    /// Which: gives the name, the scope and the row in the access table.
    pub method: Method,
    pub summary: Text,
    pub verb: Verb,
    pub path: &'static str,
    /// The varying part of the path, when it has one.
    pub segment: Option<Segment>,
    /// Other forms of the path that are served alike.
    pub path_aliases: &'static [&'static str],
    pub input: Input,
    /// What a 200 carries; a method without output answers 204.
    pub output: Option<Body>,
    /// The errors that are its own.
    pub errors: &'static [Kind],
}

/// `GET /v1/Login`
pub(crate) static GET_LOGIN: EndpointSpec = EndpointSpec {
    method: Method::GetLogin,
    summary: Text {
        da: "Henter første og seneste login for én virksomhed.",
        en: "Reads the first and the latest login of one company.",
    },
    verb: Verb::Get,
    path: "/v1/Login",
    segment: None,
    path_aliases: &[],
    input: Input::Query(TypeSchema::of::<request::GetVirksomhedsLoginRequestDto>()),
    output: Some(Body {
        name: response::FIELD,
        schema_of: TypeSchema::of::<response::GetVirksomhedsLoginResponseDto>(),
    }),
    errors: &[Kind::CompanyUnknown],
};

/// `PUT /v1/Login/{CvrNummer}`
pub(crate) static SET_LOGIN: EndpointSpec = EndpointSpec {
    method: Method::SetLogin,
    summary: Text {
        da: "Registrerer, at en virksomhed er logget ind nu. Tidspunktet er tjenestens eget.",
        en: "Records that a company logged in now. The time is the service's own.",
    },
    verb: Verb::Put,
    path: "/v1/Login/{CvrNummer}",
    segment: Some(Segment {
        name: "CvrNummer",
        schema_of: TypeSchema::of::<response::CvrNummer>(),
        description: Text {
            da: "CVR nummer på virksomheden; det samme som i kroppen.",
            en: "The company's CVR number; the same as in the body.",
        },
    }),
    path_aliases: &["/v1/Login{CvrNummer}"],
    input: Input::Body(Body {
        name: body::FIELD,
        schema_of: TypeSchema::of::<request::SetVirksomhedsLoginRequestDto>(),
    }),
    output: None,
    errors: &[],
};

/// `GET /v1/Logins`
pub(crate) static GET_LOGINS: EndpointSpec = EndpointSpec {
    method: Method::GetLogins,
    summary: Text {
        da: "Henter første og seneste login for alle virksomheder, stigende efter CVR-nummer.",
        en: "Reads the first and the latest login of every company, ascending by CVR number.",
    },
    verb: Verb::Get,
    path: "/v1/Logins",
    segment: None,
    path_aliases: &[],
    input: Input::Nothing,
    output: Some(Body {
        name: response::FIELD,
        schema_of: TypeSchema::of::<response::GetVirksomhedsLoginResponseDtoCollection>(),
    }),
    errors: &[],
};

impl EndpointSpec {
    /// Every method, in the order of the contract's page.
    pub(crate) const ALL: [&'static Self; Method::ALL.len()] = [&GET_LOGIN, &SET_LOGIN, &GET_LOGINS];

    pub(crate) fn name(&self) -> &'static str {
        self.method.name()
    }

    pub(crate) const fn scope(&self) -> &'static str {
        self.method.scope()
    }

    pub(crate) const fn body(&self) -> Option<&Body> {
        match &self.input {
            Input::Body(body) => Some(body),
            Input::Nothing | Input::Query(_) => None,
        }
    }

    /// The errors that a call of this method may end in, in the order of the contract's table.
    pub(crate) fn faults(&self) -> impl Iterator<Item = Kind> {
        Kind::VARIANTS.iter().copied().filter(|kind| self.may_end_in(*kind))
    }

    /// Exhaustive, so that a new row of the table of errors must be given its place here.
    fn may_end_in(&self, kind: Kind) -> bool {
        match kind {
            Kind::Unauthorised
            | Kind::AmbiguousCredentials
            | Kind::ScopeMissing
            | Kind::AccessDenied
            | Kind::BadRequest
            | Kind::PreconditionFailed
            | Kind::TooManyRequests
            | Kind::Internal
            | Kind::Unavailable => true,
            // No call of a method: its path or verb is another, or the listener is the management's.
            Kind::PathUnknown | Kind::VerbNotAllowed | Kind::Misdirected => false,
            Kind::BodyTimeout | Kind::BodyTooLarge | Kind::MediaTypeUnsupported | Kind::CodingUnsupported => {
                self.body().is_some()
            }
            Kind::CompanyUnknown => self.errors.contains(&kind),
            Kind::DiskFull => self.verb == Verb::Put,
        }
    }
}

#[cfg(test)]
mod tests;
