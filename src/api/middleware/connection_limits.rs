//! What a request means for its connection: one too many is answered 503, and the last one ends it.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{ConnectionType, Method as Verb, Version, header};
use actix_web::web;

use super::connection::{Connection, InFlight};
use super::incoming_body::IncomingBody;
use super::request_context::RequestContext;
use crate::api::denied_calls::Answer;
use crate::api::problem::Problem;
use crate::api::state::ApiState;

/// Seconds after which a client may try again when there were too many connections.
const RETRY_SECONDS: u32 = 2;

/// A request and its answer, on their connection.
pub(super) struct Exchange {
    connection: Rc<Connection>,
    body: Option<IncomingBody>,
    /// HTTP/1.1.
    is_modern: bool,
    is_tunnel: bool,
    is_last: bool,
    _in_flight: InFlight,
}

impl Exchange {
    /// `None` without a connection, as in tests.
    pub(super) fn begin(request: &mut ServiceRequest) -> Option<Self> {
        let connection = Rc::clone(request.conn_data::<Rc<Connection>>()?);
        let is_modern = request.version() >= Version::HTTP_11;
        // Bytes behind a request to tunnel or upgrade are no request (RFC 9110 §7.8, §9.3.6).
        let is_tunnel = is_modern
            && (request.method() == Verb::CONNECT || request.headers().contains_key(header::UPGRADE));
        let is_last = is_tunnel || request.head().connection_type() != ConnectionType::KeepAlive;
        let _in_flight = connection.in_flight();
        let body = if connection.over_limit { None } else { IncomingBody::intercept(request, &connection) };
        Some(Self { connection, body, is_modern, is_tunnel, is_last, _in_flight })
    }

    /// Whether the connection is one more than may be served.
    pub(super) fn is_over_limit(&self) -> bool {
        self.connection.over_limit
    }

    /// Decides what becomes of the connection.
    pub(super) async fn end(self, response: &mut ServiceResponse) {
        let leaves_body = match &self.body {
            Some(body) => self.is_tunnel || !body.has_ended().await,
            None => self.is_over_limit(),
        };
        // HTTP/1.0 knows no chunks, and after a request to upgrade actix-http announces them and sends none. Then the end of
        // such a body is the end of the connection (RFC 9112 §6.3).
        let takes_chunks = self.is_modern && !self.is_tunnel;
        let ends_with_connection = !takes_chunks && response.response().body().size() == BodySize::Stream;
        let head = response.response_mut().head_mut();
        head.no_chunking(ends_with_connection);
        // Never asked of the answer's head: actix-http takes it from a pool, where it keeps the version of the answer before.
        let is_stopping = self.connection.limits.stopping.load(Ordering::Relaxed);
        if self.is_last || ends_with_connection || leaves_body || is_stopping {
            head.set_connection_type(ConnectionType::Close);
            self.connection.finished.set(true);
        }
        self.connection.discarding.set(leaves_body);
    }
}

/// The answer on a connection above `limits.connections`. The request is not read, so that shedding stays cheap.
pub(super) fn too_many_connections(request: ServiceRequest, context: &RequestContext) -> ServiceResponse {
    let api = request.app_data::<web::Data<ApiState>>();
    let limited = api.map(|api| api.denied_calls.take(context.remote.0, Answer::Denied, false));
    context.note(|record| {
        record.cause = Some("limits.connections are open already".to_owned());
        record.is_summed_up = limited.is_some_and(|limited| limited.is_err());
    });
    request.into_response(context.render(&Problem::unavailable(RETRY_SECONDS)))
}
