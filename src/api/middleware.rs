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

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error};

use audit::Unanswered;
use connection_limits::Exchange;
use request_context::{RequestContext, SharedContext};

/// The app within its middleware. It is one for all jobs, because actix-web boxes what each one more returns.
pub fn wrap<T>(
    app: App<T>,
) -> App<
    impl ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>,
>
where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
        + 'static,
{
    app.wrap(from_fn(handle))
}

async fn handle(mut request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    let context = RequestContext::open(&request); // What all others write to.
    let exchange = Exchange::begin(&mut request);
    let mut response = match &exchange {
        Some(exchange) if exchange.is_over_limit() => {
            connection_limits::too_many_connections(request, &context)
        }
        _ => answer(request, next, &context).await?,
    };
    if let Some(exchange) = exchange {
        exchange.end(&mut response).await; // Knows whether an answer is the last on its connection.
    }
    access_log::log(&context, &response); // Counts and logs what has become of the call, also without a handler.
    context.name(response.headers_mut());
    Ok(response)
}

async fn answer(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
    context: &SharedContext,
) -> Result<ServiceResponse, Error> {
    let unanswered = Unanswered::new(context);
    let response = match host::check(&mut request) {
        Ok(()) => next.call(request).await?, // What handlers read as `Host` is one.
        Err(problem) => request.error_response(problem),
    };
    let response = errors::render(context, response); // From here on there is an answer, never an error or a panic.
    let response = denied_calls::limit(context, response); // Its 429 takes the place of another error.
    unanswered.end();
    Ok(audit::write(context, response).await) // Says what is answered, unless it fails: then its 503 is.
}
