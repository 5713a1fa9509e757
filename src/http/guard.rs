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

use super::Api;
use super::declaration::Declaration;
use super::dto::Asked;
use super::exchange::{Exchange, SharedExchange};
use super::problem::{FieldFault, Kind, Problem};
use crate::auth::{Caller, Refusal};
use crate::domain::access::Method;

/// Seconds after which a caller may try again while no key set is at hand.
const RETRY_WITHOUT_KEYS_SECONDS: u32 = 5;
/// The name of a token in the query (RFC 6750 §2.3), which this service does not take.
const QUERY_TOKEN: &str = "access_token";

/// A method of the contract, as a type that a handler can ask for.
pub trait Guarded: 'static {
    /// The method whose scope and row in the table of access apply.
    const DECLARATION: &'static Declaration;

    /// What the request's head asks for. Read before anything is checked, for the audit line of a refused call: who
    /// asked for which company matters most when they were not let in.
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
            let (exchange, asked) = (Exchange::of(&request), M::asked(&request));
            exchange.note(|notes| {
                notes.method = Some(M::DECLARATION.method);
                notes.cvr = asked.company;
            });
            authorise(&request, &exchange, M::DECLARATION.method).await?;
            Ok(Self { exchange, asked, method: PhantomData })
        })
    }
}

async fn authorise(request: &HttpRequest, exchange: &Exchange, method: Method) -> Result<(), Problem> {
    let refuse = |reason: String, problem: Problem| {
        exchange.note(|notes| notes.reason = Some(reason));
        problem
    };
    let api = request.app_data::<web::Data<Api>>().ok_or_else(|| Problem::new(Kind::Internal))?;
    let token = bearer_token(request).map_err(|(reason, problem)| refuse(reason.to_owned(), problem))?;
    let caller = api.authenticator.authenticate(token).await.map_err(|refusal| match refusal {
        Refusal::Token(fault) => refuse(fault.to_string(), unauthorised(r#", error="invalid_token""#)),
        Refusal::KeysUnavailable => {
            refuse("no key set is at hand".to_owned(), Problem::unavailable(RETRY_WITHOUT_KEYS_SECONDS))
        }
    })?;
    exchange.note(|notes| notes.caller = Some(Arc::clone(&caller)));
    if let Some(rate) = &api.rate {
        rate.take(&caller).map_err(|wait| {
            refuse(
                format!("{} calls more often than it may", wait.client),
                Problem::too_many_requests(wait.seconds),
            )
        })?;
    }
    let reason = may(api, &caller, method).map_err(|(reason, problem)| refuse(reason, problem))?;
    exchange.note(|notes| {
        notes.reason = Some(reason);
        notes.let_in = true;
    });
    Ok(())
}

/// The rule that lets the caller in; scope comes before the table.
fn may(api: &Api, caller: &Caller, method: Method) -> Result<String, (String, Problem)> {
    if !caller.has_scope(method.scope()) {
        let reason = match caller.scope_fault() {
            Some(fault) => fault.to_string(),
            None => format!("the token lacks the scope {}", method.scope()),
        };
        let challenge = format!(r#", error="insufficient_scope", scope="{}""#, method.scope());
        return Err((reason, challenged(Problem::new(Kind::ScopeMissing), &challenge)));
    }
    let denied = |reason: String| (reason, Problem::new(Kind::AccessDenied));
    let (organisation, acting) = caller.organisation().map_err(|fault| denied(fault.to_string()))?;
    let decision = api.matrix.load().decide(method, organisation, acting);
    if decision.allowed { Ok(decision.reason.to_string()) } else { Err(denied(decision.reason.to_string())) }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1), the scheme in any case.
fn bearer_token(request: &HttpRequest) -> Result<&str, (&'static str, Problem)> {
    let mut sent = request.headers().get_all(header::AUTHORIZATION);
    let (first, second) = (sent.next(), sent.next());
    if second.is_some() {
        return Err(("more than one Authorization header", ambiguous()));
    }
    let in_query = is_in_query(request.query_string());
    let Some(value) = first else {
        let reason = if in_query { "a token in the query only" } else { "no Authorization header" };
        return Err((reason, unauthorised("")));
    };
    if in_query {
        return Err(("a token in the query beside the header", ambiguous()));
    }
    let malformed = |reason| (reason, unauthorised(r#", error="invalid_token""#));
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
        _ => Err(("the Authorization scheme is not Bearer", unauthorised(""))),
    }
}

/// Whether a token stands in the query. Most queries can be told at a glance to hold none.
fn is_in_query(query: &str) -> bool {
    (query.contains(QUERY_TOKEN) || query.contains('%'))
        && form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == QUERY_TOKEN)
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
