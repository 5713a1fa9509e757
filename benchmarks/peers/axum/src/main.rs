//! The axum peer: the three methods as a good team would build them with axum and redb (benchmarks/peers/README.md).

mod access_log;
mod callers;
mod list;
mod logins;
mod problem;
mod text;

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use axum::serve::ListenerExt;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use access_log::AccessLog;
use callers::{Caller, Callers, Endpoint};
use logins::Logins;
use problem::Problem;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LARGEST_BODY: usize = 16 * 1024;

struct Peer {
    callers: Callers,
    logins: Logins,
    log: Option<AccessLog>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let setting = |name: &str| env::var(name).map_err(|_| format!("the environment has no {name}"));
    let file = |name: &str| env::var_os(name).map(PathBuf::from);
    let callers = Callers::new(setting("JWKS")?.as_ref(), &setting("ISSUER")?, &setting("AUDIENCE")?)?;
    let (logins, writer) = Logins::open(setting("STORE")?.as_ref(), file("COMPANIES").as_deref())?;
    let log = file("ACCESS_LOG").map(|path| AccessLog::append_to(&path)).transpose()?;
    let router = Router::new()
        .route("/v1/Login", get(get_login))
        .route("/v1/Login/{cvr}", put(set_login))
        .route("/v1/Logins", get(get_logins))
        .fallback(async || Problem::Path)
        .with_state(Arc::new(Peer { callers, logins, log }));
    let listener = TcpListener::bind(("127.0.0.1", setting("PORT")?.parse()?)).await?;
    let listener = listener.tap_io(|socket| {
        // Slower, but no reason to refuse a connection.
        let _ = socket.set_nodelay(true);
    });
    let mut terminated = signal(SignalKind::terminate())?;
    let stop = async move { terminated.recv().await.unwrap_or_default() };
    axum::serve(listener, router).with_graceful_shutdown(stop).await?;
    writer.join().map_err(|_| "the thread that writes has panicked".into())
}

/// A CVR number, in a query or in a body.
#[derive(Deserialize)]
struct Company {
    #[serde(rename = "cvrNummer")]
    cvr: String,
}

#[derive(Deserialize)]
struct SetLogin {
    #[serde(rename = "VirksomhedsLoginDto")]
    company: Company,
}

async fn get_login(State(peer): State<Arc<Peer>>, request: Request) -> Response {
    let (caller, denied) = peer.callers.identify(request.headers(), Endpoint::GetLogin);
    let asked =
        Query::<Company>::try_from_uri(request.uri()).ok().and_then(|Query(company)| parse_cvr(&company.cvr));
    let answer = match (denied, asked) {
        (Some(problem), _) => problem.into_response(),
        (None, None) => Problem::Request.into_response(),
        (None, Some(cvr)) => match peer.logins.find(cvr) {
            Some(span) => ([(CONTENT_TYPE, "application/json")], text::one(cvr, span)).into_response(),
            None => Problem::Company.into_response(),
        },
    };
    peer.log(Endpoint::GetLogin, asked, caller.as_deref(), answer).await
}

async fn set_login(State(peer): State<Arc<Peer>>, Path(cvr): Path<String>, request: Request) -> Response {
    let (caller, denied) = peer.callers.identify(request.headers(), Endpoint::SetLogin);
    let named = parse_cvr(&cvr);
    let answer = match (denied, named) {
        (Some(problem), _) => problem.into_response(),
        (None, Some(number)) if company_of(request.into_body()).await.as_deref() == Some(cvr.as_str()) => {
            match peer.logins.record(number, now()).await {
                true => StatusCode::NO_CONTENT.into_response(),
                false => Problem::Unavailable.into_response(),
            }
        }
        (None, _) => Problem::Request.into_response(),
    };
    peer.log(Endpoint::SetLogin, named, caller.as_deref(), answer).await
}

async fn get_logins(State(peer): State<Arc<Peer>>, request: Request) -> Response {
    let (caller, denied) = peer.callers.identify(request.headers(), Endpoint::GetLogins);
    let answer = match denied {
        Some(problem) => problem.into_response(),
        None => list::list(peer.logins.clone(), request.headers()),
    };
    peer.log(Endpoint::GetLogins, None, caller.as_deref(), answer).await
}

impl Peer {
    /// The answer, once its line is written; 503 where it cannot be.
    async fn log(
        &self,
        endpoint: Endpoint,
        cvr: Option<u32>,
        caller: Option<&Caller>,
        answer: Response,
    ) -> Response {
        let Some(log) = &self.log else { return answer };
        let time = text::time(now());
        let time = str::from_utf8(&time).unwrap_or_default();
        let cvr = cvr.map_or_else(|| "null".to_owned(), |cvr| format!("\"{cvr:08}\""));
        let name = caller.map_or("null", |caller| &caller.name);
        let status = answer.status().as_u16();
        let line = format!(
            "{{\"tid\":\"{time}\",\"metode\":\"{endpoint:?}\",\"cvrNummer\":{cvr},\"status\":{status},\"sub\":{name}}}\n"
        );
        if log.write(line.into()).await { answer } else { Problem::Unavailable.into_response() }
    }
}

/// The number that a body of SetLogin has.
async fn company_of(body: Body) -> Option<String> {
    let body = to_bytes(body, LARGEST_BODY).await.ok()?;
    Some(serde_json::from_slice::<SetLogin>(&body).ok()?.company.cvr)
}

/// Eight digits.
fn parse_cvr(text: &str) -> Option<u32> {
    (text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok())?
}

/// Milliseconds since 1970.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
