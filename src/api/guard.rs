//! Authorisation: who calls, and may they?
//!
//! A handler that takes [`Authorised<M>`] runs only for callers whose token and the access table allow them the method
//! `M`. The order is the contract's: 401, then 403, and only then anything about the request, so that no caller without
//! access learns which companies exist.

use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpRequest, dev};
use futures_util::future::LocalBoxFuture;
use url::form_urlencoded;

use super::client_certificate;
use super::deny_reason::DenyReason;
use super::middleware::connection::Connection;
use super::middleware::request_context::{RequestContext, SharedContext};
use super::problem::{FieldError, Kind, Problem};
use super::rate_limit::client_of;
use super::request::{MAX_ITEMS, RequestTarget};
use super::state::ApiState;
use crate::auth::{AuthError, Caller, LastToken};
use crate::domain::access::Method;

/// Seconds after which a caller may try again while no key set is available.
const RETRY_WITHOUT_KEYS_SECONDS: u32 = 5;
/// The name of a token in the query (RFC 6750 §2.3), which this service does not take.
const QUERY_TOKEN: &str = "access_token";
/// The longest query of a denied call that is read for the audit line, in bytes.
const AUDITED_QUERY: usize = 1024;

/// A method of the contract, as a type that a handler can ask for.
pub(super) trait Endpoint: 'static {
    /// The method whose scope and row in the access table apply.
    const METHOD: Method;

    /// What the request's head asks for. Read once the token has been verified; for a denied call too, because which
    /// company it asked for matters most in its audit line.
    fn target(request: &HttpRequest) -> RequestTarget;
}

/// Proof that the caller may call `M`.
pub(crate) struct Authorised<M> {
    pub(super) context: SharedContext,
    /// With every error in the request's head.
    pub(super) target: RequestTarget,
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
            let decision = authorise(&request, &context, M::METHOD).await;
            let mut target = match decision {
                Err(_) if request.query_string().len() > AUDITED_QUERY => RequestTarget::default(),
                _ => M::target(&request),
            };
            context.note(|record| record.cvr = target.company);
            decision?;
            target.errors.splice(0..0, context.request_id.error());
            Ok(Self { context, target, method: PhantomData })
        })
    }
}

async fn authorise(request: &HttpRequest, context: &RequestContext, method: Method) -> Result<(), Problem> {
    let api = context.api.as_ref().ok_or_else(|| Problem::new(Kind::Internal))?;
    match decide(request, api, context, method).await {
        Ok(reason) => {
            context.note(|record| (record.reason, record.authorised) = (Some(reason), true));
            Ok(())
        }
        Err(denied) => {
            context.note(|record| record.reason = Some(denied.text));
            api.metrics.denials.count(denied.reason);
            Err(denied.problem)
        }
    }
}

/// A denied call: for the metrics, for the log and the audit line, and for the caller.
struct Denied {
    reason: DenyReason,
    text: String,
    problem: Problem,
}

impl Denied {
    fn new(reason: impl Into<DenyReason>, text: impl fmt::Display, problem: Problem) -> Self {
        Self { reason: reason.into(), text: text.to_string(), problem }
    }
}

/// The rule that lets the caller in: token, rate, scope, access table.
async fn decide(
    request: &HttpRequest,
    api: &ApiState,
    context: &RequestContext,
    method: Method,
) -> Result<String, Denied> {
    let token = bearer_token(request)?;
    let (connection, none) = (request.conn_data::<Rc<Connection>>(), LastToken::default());
    let last = connection.map_or(&none, |connection| &connection.last_token);
    let caller = api.authenticator.authenticate_on(last, token).await.map_err(|error| match error {
        AuthError::Token(error) => Denied::new(&error, &error, invalid_token()),
        AuthError::KeysUnavailable => {
            let problem = Problem::unavailable(RETRY_WITHOUT_KEYS_SECONDS);
            Denied::new(DenyReason::KeysUnavailable, "no key set is available", problem)
        }
    })?;
    // For each call, also when the token was verified before.
    if let Some(bound_to) = caller.bound_to {
        client_certificate::check(request, api, bound_to)
            .map_err(|reason| Denied::new(DenyReason::Certificate, reason, invalid_token()))?;
    }
    context.note(|record| record.caller = Some(Arc::clone(&caller)));
    if let Some(buckets) = &api.rate {
        let client = client_of(&caller);
        buckets.take(&client).map_err(|seconds| {
            let text = format_args!("the {} calls more often than it may", client.0);
            Denied::new(DenyReason::RateLimited, text, Problem::retry_after(Kind::TooManyRequests, seconds))
        })?;
    }
    check_access(api, &caller, method)
}

/// The rule of the access table that allows the call; scope comes before the table.
fn check_access(api: &ApiState, caller: &Caller, method: Method) -> Result<String, Denied> {
    if let Some(text) = caller.lacks_scope(method.scope()) {
        let challenge = format!(r#", error="insufficient_scope", scope="{}""#, method.scope());
        return Err(Denied::new(DenyReason::Scope, text, challenged(Kind::ScopeMissing, &challenge)));
    }
    let denied = || Problem::new(Kind::AccessDenied);
    let (organisation, modes) = caller.organisation().map_err(|error| Denied::new(error, error, denied()))?;
    let reason = api.access_table.load().decide(method, organisation, modes);
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
        let text = "more than one Authorization header";
        return Err(Denied::new(DenyReason::AmbiguousCredentials, text, ambiguous()));
    }
    let unauthorised = || challenged(Kind::Unauthorised, "");
    let value = match (first, is_in_query(request.query_string())) {
        (Some(value), false) => value,
        (Some(_), true) => {
            let text = "a token in the query beside the header";
            return Err(Denied::new(DenyReason::AmbiguousCredentials, text, ambiguous()));
        }
        (None, true) => {
            let text = "a token in the query only";
            return Err(Denied::new(DenyReason::AmbiguousCredentials, text, unauthorised()));
        }
        (None, false) => {
            return Err(Denied::new(DenyReason::NoToken, "no Authorization header", unauthorised()));
        }
    };
    let malformed = |text| Denied::new(DenyReason::Malformed, text, invalid_token());
    let text = str::from_utf8(value.as_bytes()).ok().filter(|text| text.is_ascii());
    let text = text.ok_or_else(|| malformed("the Authorization header is not ASCII"))?;
    let end = text.bytes().position(|byte| byte == b' ').unwrap_or(text.len());
    let (scheme, token) = text.split_at(end);
    if !scheme.eq_ignore_ascii_case("Bearer") {
        let text = "the Authorization scheme is not Bearer";
        return Err(Denied::new(DenyReason::Scheme, text, unauthorised()));
    }
    let token = token.trim_matches(' ');
    if token.is_empty() { Err(malformed("the Authorization header has no token")) } else { Ok(token) }
}

/// Whether there is a token in the query. No more parameters are read than of a caller with a good token, and only names
/// that can be the token's are decoded.
fn is_in_query(query: &str) -> bool {
    let parameters = query.as_bytes().split(|byte| *byte == b'&').filter(|parameter| !parameter.is_empty());
    parameters
        .take(MAX_ITEMS)
        .map(|parameter| parameter.split(|byte| *byte == b'=').next().unwrap_or_default())
        .filter(|name| (QUERY_TOKEN.len()..="%XX".len() * QUERY_TOKEN.len()).contains(&name.len()))
        .any(|name| form_urlencoded::parse(name).any(|(name, _)| name == QUERY_TOKEN))
}

fn invalid_token() -> Problem {
    challenged(Kind::Unauthorised, r#", error="invalid_token""#)
}

fn ambiguous() -> Problem {
    let error = FieldError::new("Authorization", "Send ét adgangstoken, og kun i headeren Authorization.");
    challenged(Kind::AmbiguousCredentials, r#", error="invalid_request""#).with_errors(vec![error])
}

/// The problem with the challenge of RFC 6750 §3.
fn challenged(kind: Kind, parameters: &str) -> Problem {
    match HeaderValue::try_from(format!(r#"Bearer realm="virksomhedslogin"{parameters}"#)) {
        Ok(challenge) => Problem::new(kind).with_header(header::WWW_AUTHENTICATE, challenge),
        Err(_) => Problem::new(kind),
    }
}
