//! The three methods on one screen: what they need, their routes, what surrounds them.

mod body;
pub(crate) mod conditional;
pub(crate) mod context;
pub(crate) mod denied_calls;
pub(crate) mod deny_reason;
pub(crate) mod encoding;
mod guard;
pub(crate) mod handlers;
pub(crate) mod list;
pub(crate) mod metrics;
pub(crate) mod middleware;
pub(crate) mod problem;
pub(crate) mod rate_limit;
pub(crate) mod request;
pub(crate) mod request_id;
pub(crate) mod request_metrics;
pub(crate) mod response;
pub mod routes;
pub(crate) mod spec;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use actix_web::{FromRequest, Handler, Responder};
use arc_swap::ArcSwap;

use crate::audit::AuditLog;
use crate::auth::Authenticator;
use crate::domain::access::AccessTable;
use crate::domain::clock::SharedClock;
use crate::store::Store;
use denied_calls::DeniedCalls;
use metrics::Metrics;
use rate_limit::RateLimit;
use routes::{no_path, path, read};
use spec::{EndpointSpec, GET_LOGIN, GET_LOGINS, SET_LOGIN, Verb};

/// What the API is served from.
pub struct ApiState {
    /// Tells who calls.
    pub authenticator: Arc<Authenticator>,
    /// Tells whether they may.
    pub access_table: Arc<ArcSwap<AccessTable>>,
    /// The register.
    pub store: Arc<Store>,
    /// Where every call to a method is written down.
    pub audit: Arc<AuditLog>,
    /// The service's time.
    pub clock: SharedClock,
    /// What is counted of the calls.
    pub metrics: Arc<Metrics>,
    /// How many calls one client may make, when that is limited.
    pub rate: Option<RateLimit>,
    /// How many calls without a good token are answered and written down one by one.
    pub denied_calls: DeniedCalls,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
}

/// Most items that are read of a list in a request: query parameters, codings, languages. No honest
/// request has as many, so that what the others cost is bounded.
pub(crate) const MAX_ITEMS: usize = 64;

/// The verbs that any path of the API's listener takes, for `OPTIONS *`.
const ANY: &str = "GET, HEAD, PUT, OPTIONS";

/// The methods on the API's listener. Paths are compared with case and without a trailing slash; `/v1/Logins` stands
/// before the form of SetLogin without a slash, so that it is never taken for a CVR number `s`.
pub fn routes(config: &mut web::ServiceConfig) {
    method(config, &GET_LOGIN, handlers::get_login);
    method(config, &GET_LOGINS, handlers::get_logins);
    method(config, &SET_LOGIN, handlers::set_login);
    config.default_service(no_path(ANY));
}

/// A method at its path and at the other forms of it.
fn method<F, Args>(config: &mut web::ServiceConfig, declaration: &'static EndpointSpec, handler: F)
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    for pattern in [declaration.path].into_iter().chain(declaration.path_aliases.iter().copied()) {
        let route = match declaration.verb {
            Verb::Get => read(),
            Verb::Put => web::put(),
        };
        config.service(path(pattern, declaration.verb.allow(), [route.to(handler.clone())]));
    }
}
