//! The three methods on one screen: their specs and routes, the guard, requests and responses, and what surrounds them.
//!
//! Promises: every answer is the contract's, and no call of a method is answered without its audit line. Does not know
//! how tokens are verified or logins stored, nor the documentation and the management listener.

mod body;
mod client_certificate;
pub(crate) mod conditional;
pub(crate) mod denied_calls;
pub(crate) mod deny_reason;
pub(crate) mod encoding;
mod guard;
pub(crate) mod handlers;
pub(crate) mod list;
mod manipulation;
pub(crate) mod middleware;
pub(crate) mod problem;
pub(crate) mod rate_limit;
pub(crate) mod request;
pub(crate) mod request_id;
pub(crate) mod request_metrics;
pub(crate) mod response;
pub(crate) mod routes;
pub(crate) mod spec;
mod state;

use actix_web::web;
use actix_web::{FromRequest, Handler, Responder};

use routes::{no_path, path, read};
use spec::{EndpointSpec, GET_LOGIN, GET_LOGINS, SET_LOGIN, Verb};

pub use state::{ApiState, Metrics};

/// The verbs that any path of the API's listener takes, for `OPTIONS *`.
const ANY: &str = "GET, HEAD, PUT, OPTIONS";

/// The methods on the API's listener. Paths are compared with case and without a trailing slash. `/v1/Logins` comes
/// before SetLogin's alias without a slash, so that it is never taken for a CVR number `s`.
pub fn routes(config: &mut web::ServiceConfig) {
    method(config, &GET_LOGIN, handlers::get_login);
    method(config, &GET_LOGINS, handlers::get_logins);
    method(config, &SET_LOGIN, handlers::set_login);
    config.default_service(no_path(ANY));
}

/// A method at its path and its aliases.
fn method<F, Args>(config: &mut web::ServiceConfig, spec: &'static EndpointSpec, handler: F)
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    for pattern in [spec.path].iter().chain(spec.path_aliases) {
        let route = match spec.verb {
            Verb::Get => read(),
            Verb::Put => web::put(),
        };
        config.service(path(pattern, spec.verb.allow(), [route.to(handler.clone())]));
    }
}
