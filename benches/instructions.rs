//! Walks one hot path so many times: `instructions NAME COUNT`. For `benches/instructions`, which counts what it executes.
//!
//! Inputs and time are fixed. Each path is walked once more than asked for, so that what is done only the first
//! time is in the count of zero, too, and is subtracted with it.

#![allow(clippy::expect_used, reason = "a measurement may stop at the first surprise")]

mod fixed;

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, ContentType, ETAG, HeaderValue, IF_NONE_MATCH};
use actix_web::http::{self, StatusCode};
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, web};
use arc_swap::ArcSwap;
use futures_util::FutureExt;
use virksomhedslogin::testing::AccessTable;
use virksomhedslogin::testing::Cvr;
use virksomhedslogin::testing::DeniedCalls;
use virksomhedslogin::testing::Metrics;
use virksomhedslogin::testing::TrustedProxies;
use virksomhedslogin::testing::interchange;
use virksomhedslogin::testing::logging;
use virksomhedslogin::testing::wrap;
use virksomhedslogin::testing::{ApiState, routes};
use virksomhedslogin::testing::{AuditLog, AuditWriter};
use virksomhedslogin::testing::{Method, OrganisationType};
use virksomhedslogin::testing::{Options, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, count] = arguments.as_slice() else {
        return Err("usage: instructions NAME COUNT".into());
    };
    let count: u32 = count.parse()?;
    match name.as_str() {
        "row" => row(count),
        "token-hit" => token(count, false),
        "token-miss" => token(count, true),
        "decide" => decide(count),
        "get-login" => return walk_api(count, Walk::GetLogin),
        "set-login" => return walk_api(count, Walk::SetLogin),
        "not-modified" => return walk_api(count, Walk::NotModified),
        "denied" => return walk_api(count, Walk::Denied),
        _ => return Err(format!("there is no path {name}").into()),
    }
    Ok(())
}

/// A row of the list.
fn row(count: u32) {
    let mut text = Vec::with_capacity(interchange::OBJECT);
    for number in 0..=count {
        text.clear();
        interchange::write_object(&mut text, black_box(&fixed::record(number)));
        black_box(&text);
    }
}

/// A token that is known, or one that is read and verified again.
fn token(count: u32, forgotten: bool) {
    let authenticator = fixed::authenticator();
    for _ in 0..=count {
        if forgotten {
            authenticator.forget_verified();
        }
        let caller = authenticator.authenticate(black_box(fixed::token())).now_or_never();
        black_box(caller.expect("nothing to wait for").expect("a good token"));
    }
}

/// The table of access.
fn decide(count: u32) {
    let (access_table, acting) = (fixed::access_table(), fixed::acting());
    for _ in 0..=count {
        black_box(access_table.decide(
            black_box(Method::GetLogin),
            OrganisationType::Star,
            black_box(acting),
        ));
    }
}

/// What is walked from the parsed request to the answer, audit line and request log included; without the network.
#[derive(Clone, Copy, PartialEq)]
enum Walk {
    GetLogin,
    /// A login of a known company. What the store's threads do until it is on the disk is not counted.
    SetLogin,
    /// The list as the client has it.
    NotModified,
    /// GetLogin by a caller that the access table keeps out.
    Denied,
}

impl Walk {
    fn status(self) -> StatusCode {
        match self {
            Self::GetLogin => StatusCode::OK,
            Self::SetLogin => StatusCode::NO_CONTENT,
            Self::NotModified => StatusCode::NOT_MODIFIED,
            Self::Denied => StatusCode::FORBIDDEN,
        }
    }

    fn request(self, company: Cvr, tag: &HeaderValue) -> TestRequest {
        match self {
            Self::GetLogin | Self::Denied => {
                TestRequest::get().uri(&format!("/v1/Login?cvrNummer={company}"))
            }
            Self::SetLogin => TestRequest::put()
                .uri(&format!("/v1/Login/{company}"))
                .insert_header(ContentType::json())
                .set_payload(format!(r#"{{"VirksomhedsLoginDto":{{"cvrNummer":"{company}"}}}}"#)),
            Self::NotModified => {
                TestRequest::get().uri("/v1/Logins").insert_header((IF_NONE_MATCH, tag.clone()))
            }
        }
        .insert_header((AUTHORIZATION, format!("Bearer {}", fixed::token())))
    }
}

fn walk_api(count: u32, walk: Walk) -> Result<(), Box<dyn Error>> {
    actix_rt::System::new().block_on(walk_calls(count, walk))
}

async fn walk_calls(count: u32, walk: Walk) -> Result<(), Box<dyn Error>> {
    logging::init(logging::Format::Text);
    let directory = tempfile::tempdir()?;
    let store = Store::open(&Options::new(directory.path().join("store"), Duration::from_secs(60)))?;
    store.import((0..1_000).map(fixed::record), |_| {})?;
    let access_table = if walk == Walk::Denied { AccessTable::deny_all() } else { fixed::access_table() };
    let api = web::Data::new(ApiState {
        authenticator: Arc::new(fixed::authenticator()),
        access_table: Arc::new(ArcSwap::from_pointee(access_table)),
        store: Arc::new(store),
        audit: Arc::new(AuditLog::to_file(Path::new("/dev/null"))?),
        clock: fixed::clock(),
        metrics: Arc::new(Metrics::default()),
        rate: None,
        denied_calls: DeniedCalls::new(None),
        body_timeout: Duration::from_secs(10),
        trusted_proxies: TrustedProxies::default(),
        certificate_header: "Client-Cert".to_owned(),
    });
    let audit = AuditWriter::new(Arc::clone(&api.audit));
    let app = wrap(App::new().app_data(api.clone()).app_data(audit));
    let service = init_service(app.configure(routes)).await;
    let list = TestRequest::default().method(http::Method::HEAD).uri("/v1/Logins");
    let list = list.insert_header((AUTHORIZATION, format!("Bearer {}", fixed::token())));
    let tag = call_service(&service, list.to_request()).await.headers().get(ETAG).cloned();
    let tag = tag.unwrap_or(HeaderValue::from_static("*"));
    for number in 0..=count {
        let request = walk.request(fixed::record(number % 1_000).cvr, &tag).to_request();
        let answer = call_service(&service, request).await;
        if answer.status() != walk.status() {
            return Err(format!("answered {} instead of {}", answer.status(), walk.status()).into());
        }
    }
    Ok(())
}
