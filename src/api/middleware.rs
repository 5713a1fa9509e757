//! The request middleware, one file a job, and the order of the jobs.
//!
//! Every answer of either listener passes all of it; what has no meaning on the management listener steps aside there.

pub(crate) mod access_log;
pub(crate) mod audit;
pub(crate) mod connection;
mod connection_limits;
pub(crate) mod denied_calls;
pub(crate) mod errors;
pub(crate) mod forwarded;
mod head_filter;
mod host;
mod incoming_body;
pub(crate) mod parse_errors;
pub(crate) mod request_context;
pub(crate) mod timeout_stream;

use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::from_fn;
use actix_web::{App, Error};

/// The app within its middleware, of which the last one named sees a request first and an answer last.
pub fn wrap<T>(
    app: App<T>,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>,
>
where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
        + 'static,
{
    app.wrap(from_fn(host::check_host)) // What handlers read as `Host` is one.
        .wrap(from_fn(errors::render)) // All that stand further out see an answer, never an error or a panic.
        .wrap(from_fn(denied_calls::limit)) // Its 429 takes the place of another error before that is audited.
        .wrap(from_fn(audit::audit)) // Says what is answered, unless it fails: then its 503 is.
        .wrap(from_fn(connection_limits::enforce)) // Knows whether an answer is the last, and answers what is one too many.
        .wrap(from_fn(access_log::log)) // Counts and logs what has become of the call, also without a handler.
        .wrap(from_fn(request_context::open)) // Opens what all others write to, and names it in the answer.
}
