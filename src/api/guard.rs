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

use super::context::{RequestContext, SharedContext};
use super::deny_reason::DenyReason;
use super::problem::{FieldError, Kind, Problem};
use super::request::RequestTarget;
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
pub(crate) trait Endpoint: 'static {
    /// The method whose scope and row in the access table apply.
    const METHOD: Method;

    /// What the request's head asks for. Read once the token has been judged; for a refused call too, because who asked
    /// for which company matters most in its audit line.
    fn asked(request: &HttpRequest) -> RequestTarget;
}

/// Proof that the caller may call `M`.
#[derive(Debug)]
pub(crate) struct Authorised<M> {
    /// The request's exchange, for what the handler learns.
    pub context: SharedContext,
    /// What the request's head asks for.
    pub asked: RequestTarget,
    method: PhantomData<M>,
}

impl<M: Endpoint> FromRequest for Authorised<M> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut dev::Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let context = RequestContext::of(&request);
            context.note(|record| record.method = Some(M::METHOD));
            let judged = authorise(&request, &context, M::METHOD).await;
            let asked = match judged {
                Err(_) if request.query_string().len() > AUDITED_QUERY => RequestTarget::default(),
                _ => M::asked(&request),
            };
            context.note(|record| record.cvr = asked.company);
            judged?;
            Ok(Self { context, asked, method: PhantomData })
        })
    }
}

async fn authorise(request: &HttpRequest, context: &RequestContext, method: Method) -> Result<(), Problem> {
    let api = request.app_data::<web::Data<ApiState>>().ok_or_else(|| Problem::new(Kind::Internal))?;
    let refuse = |Denied { deny_reason, reason, problem }: Denied| {
        api.metrics.denials.count(deny_reason);
        context.note(|record| record.reason = Some(reason));
        problem
    };
    let token = bearer_token(request).map_err(refuse)?;
    let caller = api.authenticator.authenticate(token).await.map_err(|deny_reason| match deny_reason {
        auth::AuthError::Token(fault) => {
            refuse(Denied::new(fault.into(), fault, unauthorised(r#", error="invalid_token""#)))
        }
        auth::AuthError::KeysUnavailable => refuse(Denied::new(
            DenyReason::KeysUnavailable,
            "no key set is at hand",
            Problem::unavailable(RETRY_WITHOUT_KEYS_SECONDS),
        )),
    })?;
    context.note(|record| record.caller = Some(Arc::clone(&caller)));
    if let Some(rate) = &api.rate {
        rate.take(&caller).map_err(|wait| {
            refuse(Denied::new(
                DenyReason::TooOften,
                format_args!("{} calls more often than it may", wait.client),
                Problem::too_many_requests(wait.seconds),
            ))
        })?;
    }
    let reason = may(api, &caller, method).map_err(refuse)?;
    context.note(|record| {
        record.reason = Some(reason);
        record.authorised = true;
    });
    Ok(())
}

/// Who was not let in: for the metrics, for the log and the audit line, and for the caller.
struct Denied {
    deny_reason: DenyReason,
    reason: String,
    problem: Problem,
}

impl Denied {
    fn new(deny_reason: DenyReason, reason: impl ToString, problem: Problem) -> Self {
        Self { deny_reason, reason: reason.to_string(), problem }
    }
}

/// The rule that lets the caller in; scope comes before the table.
fn may(api: &ApiState, caller: &Caller, method: Method) -> Result<String, Denied> {
    if !caller.has_scope(method.scope()) {
        let reason = match caller.scope_fault() {
            Some(fault) => fault.to_string(),
            None => format!("the token lacks the scope {}", method.scope()),
        };
        let challenge = format!(r#", error="insufficient_scope", scope="{}""#, method.scope());
        let problem = challenged(Problem::new(Kind::ScopeMissing), &challenge);
        return Err(Denied::new(DenyReason::Scope, reason, problem));
    }
    let denied = || Problem::new(Kind::AccessDenied);
    let (organisation, claimed_modes) =
        caller.organisation().map_err(|fault| Denied::new(fault.into(), fault, denied()))?;
    let reason = api.access_table.load().decide(method, organisation, claimed_modes).reason;
    match DenyReason::of_decision(reason) {
        None => Ok(reason.to_string()),
        Some(deny_reason) => Err(Denied::new(deny_reason, reason, denied())),
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750 §2.1), the scheme in any case.
fn bearer_token(request: &HttpRequest) -> Result<&str, Denied> {
    let mut sent = request.headers().get_all(header::AUTHORIZATION);
    let (first, second) = (sent.next(), sent.next());
    if second.is_some() {
        return Err(Denied::new(DenyReason::Ambiguous, "more than one Authorization header", ambiguous()));
    }
    let in_query = is_in_query(request.query_string());
    let Some(value) = first else {
        let (deny_reason, reason) = if in_query {
            (DenyReason::Ambiguous, "a token in the query only")
        } else {
            (DenyReason::NoToken, "no Authorization header")
        };
        return Err(Denied::new(deny_reason, reason, unauthorised("")));
    };
    if in_query {
        return Err(Denied::new(
            DenyReason::Ambiguous,
            "a token in the query beside the header",
            ambiguous(),
        ));
    }
    let malformed =
        |reason| Denied::new(DenyReason::Malformed, reason, unauthorised(r#", error="invalid_token""#));
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
            Err(Denied::new(DenyReason::Scheme, reason, unauthorised("")))
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
    let fault = FieldError::new("Authorization", "Send ét adgangstoken, og kun i headeren Authorization.");
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
