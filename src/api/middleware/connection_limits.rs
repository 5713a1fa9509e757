//! What a request means for its connection: one too many is answered 503, and the last one ends it.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, Method as Verb, Version, header};
use actix_web::middleware::Next;
use actix_web::{Error, web};

use super::connection::Connection;
use super::incoming_body::IncomingBody;
use super::request_context::RequestContext;
use crate::api::denied_calls::Answer;
use crate::api::problem::Problem;
use crate::api::state::ApiState;

/// Seconds after which a client may try again when there were too many connections.
const RETRY_SECONDS: u32 = 2;

pub(super) async fn enforce(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    let Some(connection) = request.conn_data::<Rc<Connection>>().cloned() else {
        return next.call(request).await;
    };
    let _in_flight = connection.in_flight();
    if connection.over_limit {
        connection.finished.set(true);
        connection.discarding.set(true);
        return Ok(too_many_connections(request));
    }
    let is_modern = request.version() >= Version::HTTP_11;
    // Bytes behind a request to tunnel or upgrade are no request (RFC 9110 §7.8, §9.3.6).
    let is_tunnel =
        is_modern && (request.method() == Verb::CONNECT || request.headers().contains_key(header::UPGRADE));
    let is_last = is_tunnel || request.head().connection_type() != ConnectionType::KeepAlive;
    let body = IncomingBody::intercept(&mut request, &connection);
    let mut response = next.call(request).await?;
    let leaves_body = match &body {
        Some(body) => is_tunnel || !body.has_ended().await,
        None => false,
    };
    // HTTP/1.0 knows no chunks, and after a request to upgrade actix-http announces them and sends none. Then the end of
    // such a body is the end of the connection (RFC 9112 §6.3).
    let takes_chunks = is_modern && !is_tunnel;
    let ends_with_connection = !takes_chunks && response.response().body().size() == BodySize::Stream;
    let head = response.response_mut().head_mut();
    head.no_chunking(ends_with_connection);
    // Never asked of the answer's head: actix-http takes it from a pool, where it keeps the version of the answer before.
    let is_stopping = connection.limits.stopping.load(Ordering::Relaxed);
    if is_last || ends_with_connection || leaves_body || is_stopping {
        head.set_connection_type(ConnectionType::Close);
        connection.finished.set(true);
    }
    connection.discarding.set(leaves_body);
    Ok(response)
}

/// The answer on a connection above `limits.connections`. The request is not read, so that shedding stays cheap.
fn too_many_connections(request: ServiceRequest) -> ServiceResponse {
    let context = RequestContext::of(request.request());
    let api = request.app_data::<web::Data<ApiState>>();
    let limited = api.map(|api| api.denied_calls.take(context.remote.0, Answer::Denied, false));
    context.note(|record| {
        record.cause = Some("limits.connections are open already".to_owned());
        record.is_summed_up = limited.is_some_and(|limited| limited.is_err());
    });
    let mut answer = context.render(&Problem::unavailable(RETRY_SECONDS));
    answer.head_mut().set_connection_type(ConnectionType::Close);
    request.into_response(answer)
}
