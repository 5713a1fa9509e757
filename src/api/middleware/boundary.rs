//! The outermost layer: every request passes it on the way in, every answer on the way out.
//!
//! It opens the exchange, turns every error (the framework's own and panics included) into the contract's problem,
//! writes the audit line before an answer of a method leaves, puts the headers on that all answers carry, counts the
//! answer and logs one line.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{ConnectionType, Method as Verb, StatusCode, Version};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, web};
use futures_util::FutureExt;

use super::connection::Connection;
use super::incoming_body::IncomingBody;
use crate::api::ApiState;
use crate::api::context::{RequestContext, SharedContext};
use crate::api::denied_calls::Answer;
use crate::api::problem::{Kind, Problem};
use crate::api::{list, request_id};
use crate::audit::peer::Peer;
use crate::audit::{AuditWriter, MAX_CLAIM};
use crate::domain::access::Method;
use crate::escape;
use crate::telemetry::trace_context;

/// Seconds after which a caller may try again while the audit line cannot be written.
pub(crate) const RETRY_WITHOUT_AUDIT_SECONDS: u32 = 5;
/// Seconds after which a caller may try again when there were too many connections.
const RETRY_WITHOUT_ROOM_SECONDS: u32 = 2;
/// Longest path that is logged; a longer one may be anything.
const LOGGED_PATH_LENGTH: usize = 64;
/// Longest verb that is logged; HTTP's own are shorter.
const LOGGED_VERB_LENGTH: usize = 16;
/// Longest cause that is logged, in characters. It may quote a database, or a panic.
const LOGGED_CAUSE_LENGTH: usize = 1024;

/// Marks an error answer whose body is meant as it is: a health check names what is missing, to operators only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PassThroughError;

/// What is kept of the request for the log, since the handler consumes it.
struct RequestLine {
    verb: String,
    path: String,
    remote: Peer,
}

/// The middleware itself.
pub async fn boundary<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let shared = request.app_data::<web::Data<ApiState>>().cloned();
    let api: Option<&ApiState> = shared.as_deref().map(AsRef::as_ref);
    let writer = request.app_data::<Rc<AuditWriter>>().cloned();
    let connection = request.conn_data::<Rc<Connection>>().cloned();
    if connection.as_ref().is_some_and(|connection| connection.is_over()) {
        // What was answered before goes out first; then the connection ends.
        tokio::task::yield_now().await;
        std::future::pending::<()>().await;
    }
    let _in_hand = connection.as_ref().map(Connection::in_flight);
    let context = RequestContext::open(request.headers());
    request.extensions_mut().insert::<SharedContext>(context.clone());
    let line = RequestLine {
        verb: loggable_verb(request.method()).to_owned(),
        path: loggable(request.path()),
        remote: Peer(request.peer_addr()),
    };
    // HTTP/1.0 knows no chunks, and after a request to upgrade actix-http announces them and sends none.
    let takes_chunks = request.version() >= Version::HTTP_11
        && request.method() != Verb::CONNECT
        && !request.headers().contains_key(header::UPGRADE);
    let over_limit = connection.as_ref().is_some_and(|connection| connection.over_limit());
    // The client's wish, or bytes behind a request to tunnel or upgrade, which are nobody's (RFC 9110 §7.8, §9.3.6).
    let is_tunnel = !takes_chunks && request.version() >= Version::HTTP_11;
    let is_last = is_tunnel || request.head().connection_type() != ConnectionType::KeepAlive;
    if over_limit {
        connection.iter().for_each(|connection| connection.finish());
        connection.iter().for_each(|connection| connection.discard());
        return Ok(too_many_connections(request, api, &context, &line));
    }

    let body = IncomingBody::intercept(&mut request, connection.clone());
    let unanswered = Unanswered::new(api, &context, line.remote);
    let (request, answer, code) = match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(Ok(response)) => {
            let (request, response) = response.into_parts();
            let (answer, code) = rendered(response, &context);
            (Some(request), answer, code)
        }
        Ok(Err(error)) => {
            let (answer, code) = rendered(error.error_response(), &context);
            (None, answer, code)
        }
        Err(panic) => {
            let told = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let told = told.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            context.note(|record| record.cause = Some(format!("a handler panicked: {told}")));
            let problem = Problem::new(Kind::Internal);
            (None, problem.render(context.request_id.as_str()), Some(problem.code()))
        }
    };
    unanswered.done();
    // Only the API's workers have a writer: the management listener refuses operators nothing.
    let limited = api.filter(|_| writer.is_some());
    let (answer, code, has_line) = within_limits(limited, &context, line.remote, answer, code);
    let (mut answer, code) = if has_line {
        audited(api.zip(writer.as_ref()), &context, &line, answer, code).await
    } else {
        (answer, code)
    };
    let leaves_body = match &body {
        Some(body) => is_tunnel || !body.has_ended().await,
        None => false,
    };

    // Then the end of such a body is the end of the connection (RFC 9112 §6.3).
    let ends_with_connection = !takes_chunks && answer.body().size() == BodySize::Stream;
    answer.head_mut().no_chunking(ends_with_connection);
    // Never asked of the answer's head: actix-http takes it from a pool, where it keeps the version of the answer before.
    if is_last || ends_with_connection || leaves_body {
        answer.head_mut().set_connection_type(ConnectionType::Close);
        connection.iter().for_each(|connection| connection.finish());
    }
    if leaves_body {
        connection.iter().for_each(|connection| connection.discard());
    }
    label(&mut answer, &context);
    let took = context.started.elapsed();
    if let Some(api) = limited {
        let record = context.record.borrow();
        api.metrics.requests.count(record.method, answer.status(), code, record.caller.as_deref(), took);
    }
    if has_line {
        log_line(&context, &line, answer.status(), code, took);
    }
    if context.record.borrow().method != Some(Method::GetLogins) {
        list::count_response();
    }
    finish(request, answer)
}

/// A call that has no answer yet. When it is given up before it has one, because the caller went away or the bytes turned
/// out to be no request, its audit line is written nevertheless: what was asked for may have been done.
struct Unanswered<'a> {
    api: Option<&'a ApiState>,
    context: &'a RequestContext,
    remote: Peer,
}

impl<'a> Unanswered<'a> {
    /// The status in the audit line of a call that nobody waited for; HTTP has none.
    const STATUS: u16 = 499;

    fn new(api: Option<&'a ApiState>, context: &'a RequestContext, remote: Peer) -> Self {
        Self { api, context, remote }
    }

    fn done(mut self) {
        self.api = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        let Some(api) = self.api else { return };
        let record = self.context.record.borrow();
        if record.method.is_some()
            && record.caller.is_none()
            && api.denied_calls.take(self.remote.ip(), Answer::Denied, true).is_err()
        {
            return;
        }
        if let (Some(method), Ok(status)) = (record.method, StatusCode::from_u16(Self::STATUS)) {
            let (time, method) = (api.clock.now(), method.name());
            let line = self.context.audit_line(time, method, status, None, self.remote);
            if let Err(error) = api.audit.write_alone(&line) {
                api.metrics.audit_failures.inc();
                log::error!(
                    remote:% = self.remote;
                    "the audit line of a call that was given up could not be written: {error}"
                );
            }
        }
    }
}

/// The headers that every answer carries.
fn label(answer: &mut HttpResponse<BoxBody>, context: &RequestContext) {
    let headers = answer.headers_mut();
    if let Ok(id) = HeaderValue::from_str(context.request_id.as_str()) {
        headers.insert(request_id::HEADER, id);
    }
    if let Some(trace) = context.trace.answer() {
        headers.insert(trace_context::HEADER, trace);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// The answer to whoever came when as many connections as allowed were open: the first request is told, then it is
/// closed. The request is not looked at, so that shedding stays cheap.
fn too_many_connections(
    request: ServiceRequest,
    api: Option<&ApiState>,
    context: &RequestContext,
    line: &RequestLine,
) -> ServiceResponse<BoxBody> {
    context.note(|record| record.cause = Some("limits.connections are open already".to_owned()));
    let problem = Problem::unavailable(RETRY_WITHOUT_ROOM_SECONDS);
    let mut answer = problem.render(context.request_id.as_str());
    answer.head_mut().set_connection_type(ConnectionType::Close);
    label(&mut answer, context);
    let took = context.started.elapsed();
    if let Some(api) = api {
        api.metrics.requests.count(None, answer.status(), Some(problem.code()), None, took);
    }
    if api.is_none_or(|api| api.denied_calls.take(line.remote.ip(), Answer::Denied, false).is_ok()) {
        log_line(context, line, answer.status(), Some(problem.code()), took);
    }
    request.into_response(answer)
}

/// The answer with its error, if any, as the contract's problem; and the `fejlkode` of that.
fn rendered<B: MessageBody + 'static>(
    response: HttpResponse<B>,
    context: &RequestContext,
) -> (HttpResponse<BoxBody>, Option<&'static str>) {
    let problem = response.error().and_then(|error| error.as_error::<Problem>()).cloned();
    let status = response.status();
    let own_words = response.extensions().contains::<PassThroughError>();
    let problem = problem.or_else(|| {
        (!own_words && (status.is_client_error() || status.is_server_error()))
            .then(|| Problem::of_framework(status))
    });
    match problem {
        Some(problem) => (problem.render(context.request_id.as_str()), Some(problem.code())),
        None => (response.map_into_boxed_body(), None),
    }
}

/// The answer to a client that no good token names, as [`DeniedCalls`](crate::api::denied_calls::RefusedCalls) allows it, and whether
/// it has lines of its own in log and audit file.
fn within_limits(
    api: Option<&ApiState>,
    context: &RequestContext,
    remote: Peer,
    answer: HttpResponse<BoxBody>,
    code: Option<&'static str>,
) -> (HttpResponse<BoxBody>, Option<&'static str>, bool) {
    let (is_method, is_known) = {
        let record = context.record.borrow();
        (record.method.is_some(), record.caller.is_some())
    };
    let Some(api) = api.filter(|_| !is_known) else { return (answer, code, true) };
    let kind = if code.is_some() { Answer::Denied } else { Answer::Public };
    match (api.denied_calls.take(remote.ip(), kind, is_method), kind) {
        (Ok(()), _) => (answer, code, true),
        (Err(_), Answer::Public) => (answer, code, false),
        (Err(seconds), Answer::Denied) => {
            let problem = Problem::too_many_requests(seconds);
            (problem.render(context.request_id.as_str()), Some(problem.code()), false)
        }
    }
}

/// Writes the audit line of a call that reached a method; what cannot be audited is not answered.
async fn audited(
    api: Option<(&ApiState, &Rc<AuditWriter>)>,
    context: &RequestContext,
    line: &RequestLine,
    answer: HttpResponse<BoxBody>,
    code: Option<&'static str>,
) -> (HttpResponse<BoxBody>, Option<&'static str>) {
    let method = context.record.borrow().method;
    let written = match (api, method) {
        (_, None) => Ok(()),
        (None, Some(_)) => Err(Rc::new(std::io::Error::other("no audit log"))),
        (Some((api, writer)), Some(method)) => {
            let (time, method) = (api.clock.now(), method.name());
            let line = context.audit_line(time, method, answer.status(), code, line.remote);
            writer.write(&line).await
        }
    };
    match written {
        Ok(()) => (answer, code),
        Err(error) => {
            if let Some((api, _)) = api {
                api.metrics.audit_failures.inc();
            }
            context
                .note(|record| record.cause = Some(format!("the audit line could not be written: {error}")));
            let problem = Problem::unavailable(RETRY_WITHOUT_AUDIT_SECONDS);
            (problem.render(context.request_id.as_str()), Some(problem.code()))
        }
    }
}

fn finish(
    request: Option<HttpRequest>,
    answer: HttpResponse<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match request {
        Some(request) => Ok(ServiceResponse::new(request, answer)),
        None => Err(InternalError::from_response("the handler gave no answer", answer).into()),
    }
}

/// The path for the log. It comes from outside and may carry anything, a token put in the wrong place included, so
/// only what is short, of the letters of our own paths, and does not look like one is kept.
fn loggable(path: &str) -> String {
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || b"/.-_".contains(&byte);
    if path.len() > LOGGED_PATH_LENGTH || path.contains("eyJ") {
        "(long)".to_owned()
    } else if path.bytes().all(is_ours) {
        path.to_owned()
    } else {
        "(other)".to_owned()
    }
}

/// The verb for the log. HTTP lets a client make up its own, of any length.
fn loggable_verb(verb: &Verb) -> &str {
    let text = verb.as_str();
    let is_usual = text.len() <= LOGGED_VERB_LENGTH && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if is_usual { text } else { "(other)" }
}

fn log_line(
    context: &RequestContext,
    line: &RequestLine,
    status: StatusCode,
    code: Option<&str>,
    took: Duration,
) {
    let record = context.record.borrow();
    let milliseconds = milliseconds(took);
    let request_id = context.request_id.as_str();
    let caller = record.caller.as_deref();
    let organisation = caller.and_then(|caller| caller.organisation_type.as_deref()).unwrap_or("-");
    let organisation = escape::shortened(organisation, MAX_CLAIM);
    let organisation_code = caller.and_then(|caller| caller.organisation_code.as_deref()).unwrap_or("-");
    let organisation_code = escape::shortened(organisation_code, MAX_CLAIM);
    let decision = record.reason.as_deref().unwrap_or("-");
    let cause = escape::shortened(record.cause.as_deref().unwrap_or("-"), LOGGED_CAUSE_LENGTH);
    let what = record.method.map_or("-", |method| method.name());
    let level = if status.is_server_error() { log::Level::Error } else { log::Level::Info };
    log::log!(
        target: "virksomhedslogin::request", level,
        requestId = request_id, traceId = context.trace.id(), method = what, status = status.as_u16(), fejlkode = code.unwrap_or("-"),
        milliseconds = milliseconds, organisationType = &*organisation,
        organisationCode = &*organisation_code, remote:% = line.remote, decision = decision, cause = &*cause;
        "{} {}", line.verb, line.path
    );
}

fn milliseconds(elapsed: Duration) -> f64 {
    (elapsed.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method as Verb;
    use actix_web::middleware::from_fn;
    use actix_web::{App, HttpServer, web};

    use super::{boundary, loggable, loggable_verb};

    #[test]
    fn only_short_verbs_and_paths_of_known_letters_are_logged() {
        for (path, logged) in [
            ("/v1/Login/12345678", "/v1/Login/12345678"),
            ("/swagger/swagger-ui.css", "/swagger/swagger-ui.css"),
            ("/%65yJ", "(other)"),
            ("/\"x", "(other)"),
            ("/\u{202e}", "(other)"),
            ("/eyJhbGciOi", "(long)"),
            (&"/a".repeat(33), "(long)"),
        ] {
            assert_eq!(loggable(path), logged, "{path}");
        }
        for (verb, logged) in [
            ("GET", "GET"),
            ("PROPFIND", "PROPFIND"),
            ("eyJhbGciOi", "(other)"),
            ("A~B", "(other)"),
            (&"A".repeat(17), "(other)"),
        ] {
            assert_eq!(loggable_verb(&Verb::from_bytes(verb.as_bytes()).unwrap()), logged, "{verb}");
        }
    }

    #[test]
    fn a_handler_that_panics_is_a_500_that_tells_nothing() {
        async fn panics() -> &'static str {
            panic!("a secret of the inside")
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let server =
                    HttpServer::new(|| App::new().wrap(from_fn(boundary)).route("/", web::get().to(panics)));
                server.workers(1).disable_signals().listen(listener).unwrap().run().await
            })
        });
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        for _ in 0..2 {
            let mut answer =
                agent.get(format!("http://{address}/")).header("x-requestId", "id-1").call().unwrap();
            let text = answer.body_mut().read_to_string().unwrap();
            let expected = r#"{"type":"about:blank","title":"Internal Server Error","status":500,"fejlkode":"1011","fejltekst":"Der opstod en intern fejl. Prøv igen senere.","requestId":"id-1"}"#;
            assert_eq!(text, expected);
            assert_eq!(answer.headers()["x-requestid"], "id-1");
        }
    }
}
