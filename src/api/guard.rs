//! The door: who is it, and may it?
//!
//! A handler that takes [`Authorised<M>`] runs only for callers that the token and the table of access let in for
//! the method `M`; without it a handler cannot reach what it needs. The order is the contract's: 401, then 403, and
//! only then anything about the request, so that nobody without access learns which companies exist.

use std::marker::PhantomData;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpRequest, dev, web};
use futures_util::future::LocalBoxFuture;
use url::form_urlencoded;

use super::context::{Exchange, SharedExchange};
use super::deny_reason::Refusal;
use super::problem::{FieldFault, Kind, Problem};
use super::request::Asked;
use super::{ApiState, MAX_ITEMS};
use crate::auth;
use crate::auth::Caller;
use crate::domain::access::Method;

/// Seconds after which a caller may try again while no key set is at hand.
const RETRY_WITHOUT_KEYS_SECONDS: u32 = 5;
/// The name of a token in the query (RFC 6750 §2.3), which this service does not take.
const QUERY_TOKEN: &str = "access_token";
/// The longest query of a refused call that is read for the audit line, in bytes.
const AUDITED_QUERY: usize = 1024;

/// A method of the contract, as a type that a handler can ask for.
pub trait Guarded: 'static {
    /// The method whose scope and row in the access table apply.
    const METHOD: Method;

    /// What the request's head asks for. Read once the token has been judged; for a refused call too, because who asked
    /// for which company matters most in its audit line.
    fn asked(request: &HttpRequest) -> Asked;
}

/// Proof that the caller may call `M`.
#[derive(Debug)]
pub struct Authorised<M> {
    /// The request's exchange, for what the handler learns.
    pub exchange: SharedExchange,
    /// What the request's head asks for.
    pub asked: Asked,
    method: PhantomData<M>,
}

impl<M: Guarded> FromRequest for Authorised<M> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let exchange = Exchange::of(&request);
            exchange.note(|notes| notes.method = Some(M::METHOD));
            let judged = authorise(&request, &exchange, M::METHOD).await;
            let asked = match judged {
                Err(_) if request.query_string().len() > AUDITED_QUERY => Asked::default(),
                _ => M::asked(&request),
            };
            exchange.note(|notes| notes.cvr = asked.company);
            judged?;
            Ok(Self { exchange, asked, method: PhantomData })
        })
    }
}

async fn authorise(request: &HttpRequest, exchange: &Exchange, method: Method) -> Result<(), Problem> {
    let api = request.app_data::<web::Data<ApiState>>().ok_or_else(|| Problem::new(Kind::Internal))?;
    let refuse = |Refused { refusal, reason, problem }: Refused| {
        api.metrics.refusals.count(refusal);
        exchange.note(|notes| notes.reason = Some(reason));
        problem
    };
    let token = bearer_token(request).map_err(refuse)?;
    let caller = api.authenticator.authenticate(token).await.map_err(|refusal| match refusal {
        auth::Refusal::Token(fault) => {
            refuse(Refused::new(fault.into(), fault, unauthorised(r#", error="invalid_token""#)))
        }
        auth::Refusal::KeysUnavailable => refuse(Refused::new(
            Refusal::KeysUnavailable,
            "no key set is at hand",
            Problem::unavailable(RETRY_WITHOUT_KEYS_SECONDS),
        )),
    })?;
    exchange.note(|notes| notes.caller = Some(Arc::clone(&caller)));
    if let Some(rate) = &api.rate {
        rate.take(&caller).map_err(|wait| {
            refuse(Refused::new(
                Refusal::TooOften,
                format_args!("{} calls more often than it may", wait.client),
                Problem::too_many_requests(wait.seconds),
            ))
        })?;
    }
    let reason = may(api, &caller, method).map_err(refuse)?;
    exchange.note(|notes| {
        notes.reason = Some(reason);
        notes.let_in = true;
    });
    Ok(())
}

/// Who was not let in: for the metrics, for the log and the audit line, and for the caller.
struct Refused {
    refusal: Refusal,
    reason: String,
    problem: Problem,
}

impl Refused {
    fn new(refusal: Refusal, reason: impl ToString, problem: Problem) -> Self {
        Self { refusal, reason: reason.to_string(), problem }
    }
}

/// The rule that lets the caller in; scope comes before the table.
fn may(api: &ApiState, caller: &Caller, method: Method) -> Result<String, Refused> {
    if !caller.has_scope(method.scope()) {
        let reason = match caller.scope_fault() {
            Some(fault) => fault.to_string(),
            None => format!("the token lacks the scope {}", method.scope()),
        };
        let challenge = format!(r#", error="insufficient_scope", scope="{}""#, method.scope());
        let problem = challenged(Problem::new(Kind::ScopeMissing), &challenge);
        return Err(Refused::new(Refusal::Scope, reason, problem));
    }
    let denied = || Problem::new(Kind::AccessDenied);
    let (organisation, acting) =
        caller.organisation().map_err(|fault| Refused::new(fault.into(), fault, denied()))?;
    let reason = api.matrix.load().decide(method, organisation, acting).reason;
    match Refusal::of_decision(reason) {
        None => Ok(reason.to_string()),
        Some(refusal) => Err(Refused::new(refusal, reason, denied())),
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1), the scheme in any case.
fn bearer_token(request: &HttpRequest) -> Result<&str, Refused> {
    let mut sent = request.headers().get_all(header::AUTHORIZATION);
    let (first, second) = (sent.next(), sent.next());
    if second.is_some() {
        return Err(Refused::new(Refusal::Ambiguous, "more than one Authorization header", ambiguous()));
    }
    let in_query = is_in_query(request.query_string());
    let Some(value) = first else {
        let (refusal, reason) = if in_query {
            (Refusal::Ambiguous, "a token in the query only")
        } else {
            (Refusal::NoToken, "no Authorization header")
        };
        return Err(Refused::new(refusal, reason, unauthorised("")));
    };
    if in_query {
        return Err(Refused::new(Refusal::Ambiguous, "a token in the query beside the header", ambiguous()));
    }
    let malformed =
        |reason| Refused::new(Refusal::Malformed, reason, unauthorised(r#", error="invalid_token""#));
    let text =
        Some(value.as_bytes()).filter(|bytes| bytes.is_ascii()).and_then(|bytes| str::from_utf8(bytes).ok());
    let text = text.ok_or_else(|| malformed("the Authorization header is not ASCII"))?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("Bearer") => match token.trim_matches(' ') {
            "" => Err(malformed("the Authorization header has no token")),
            token => Ok(token),
        },
        None if text.eq_ignore_ascii_case("Bearer") => {
            Err(malformed("the Authorization header has no token"))
        }
        _ => {
            let reason = "the Authorization scheme is not Bearer";
            Err(Refused::new(Refusal::Scheme, reason, unauthorised("")))
        }
    }
}

/// Whether a token stands in the query. No more parameters are looked at than are taken from a caller with a good token,
/// and only names that can be the token's are decoded.
fn is_in_query(query: &str) -> bool {
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty()).take(MAX_ITEMS);
    parameters
        .map(|parameter| parameter.split('=').next().unwrap_or_default())
        .filter(|name| name.len() <= "%XX".len() * QUERY_TOKEN.len())
        .any(|name| form_urlencoded::parse(name.as_bytes()).any(|(name, _)| name == QUERY_TOKEN))
}

fn unauthorised(parameters: &str) -> Problem {
    challenged(Problem::new(Kind::Unauthorised), parameters)
}

fn ambiguous() -> Problem {
    let fault = FieldFault::new("Authorization", "Send ét adgangstoken, og kun i headeren Authorization.");
    let problem = Problem::new(Kind::AmbiguousCredentials).with_faults(vec![fault]);
    challenged(problem, r#", error="invalid_request""#)
}

/// The problem with the challenge of RFC 6750 §3.
fn challenged(problem: Problem, parameters: &str) -> Problem {
    match HeaderValue::try_from(format!(r#"Bearer realm="virksomhedslogin"{parameters}"#)) {
        Ok(challenge) => problem.with_header(header::WWW_AUTHENTICATE, challenge),
        Err(_) => problem,
    }
}
