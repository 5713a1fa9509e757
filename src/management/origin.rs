//! Whether a request to the management listener can come from a web page.
//!
//! A browser reaches loopback addresses for any page it shows. A page can read the answer only if its own name is made to
//! point here (DNS rebinding); then `Host` is that name. So only an IP address or `localhost` is accepted. What a page sends
//! under these is rejected by the headers that browsers add: it could not read the answer, but each request is work, and an
//! export a line in the audit file.

use std::net::SocketAddr;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use super::export;
use crate::api::ApiState;
use crate::api::middleware::request_context::RequestContext;
use crate::api::problem::{Kind, Problem};

/// Sent by browsers alone (W3C Fetch Metadata); no page can change it.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const HOST: &str = "Host is neither an IP address nor localhost";
const PAGE: &str = "the request comes from a web page (Sec-Fetch-Site or Origin)";

/// Answers 421 to what only a web page would send, or 503 when the audit line of a rejected export cannot be written.
pub(super) async fn reject_web_pages<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let Err(reason) = check(&request) else {
        return next.call(request).await.map(ServiceResponse::map_into_left_body);
    };
    let (request, _) = request.into_parts();
    RequestContext::of(&request).note(|record| record.cause = Some(reason.to_owned()));
    let mut problem = Problem::new(Kind::Misdirected);
    if request.match_pattern().as_deref() == Some(export::PATH)
        && let Some(api) = request.app_data::<web::Data<ApiState>>()
        && let Err(unaudited) = export::audited(api, &request, Err(problem.clone())).await
    {
        problem = unaudited;
    }
    Ok(ServiceResponse::new(request, HttpResponse::from_error(problem).map_into_right_body()))
}

/// `Host` is that of the target, where the target names one: `api` has put it there.
fn check(request: &ServiceRequest) -> Result<(), &'static str> {
    let headers = request.headers();
    // Health checks and scrapers may speak HTTP/1.0, which needs none. Browsers do not.
    let host = headers.get(header::HOST).map_or(Some("localhost"), text).filter(|host| is_address(host));
    let host = host.ok_or(HOST)?;
    let is_own =
        |origin: &str| origin.strip_prefix("http://").is_some_and(|own| own.eq_ignore_ascii_case(host));
    let is_direct = |site: &str| matches!(site, "none" | "same-origin");
    let sites = headers.get_all(FETCH_SITE).all(|site| text(site).is_some_and(is_direct));
    let origins = headers.get_all(header::ORIGIN).all(|origin| text(origin).is_some_and(is_own));
    if sites && origins { Ok(()) } else { Err(PAGE) }
}

fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

/// An IP address, IPv6 in brackets, or `localhost`; with or without a port.
fn is_address(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    let port = if name.eq_ignore_ascii_case("localhost") { host.strip_prefix(name) } else { None };
    let host = port.map_or_else(|| host.to_owned(), |port| format!("127.0.0.1{port}"));
    host.parse::<SocketAddr>().is_ok() || format!("{host}:80").parse::<SocketAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_are_accepted() {
        for host in [
            "localhost",
            "LocalHost:9090",
            "127.0.0.1",
            "127.0.0.1:9090",
            "192.0.2.7:1",
            "[::1]",
            "[::1]:9090",
            "[2001:db8::1]:65535",
        ] {
            assert!(is_address(host), "{host}");
        }
    }

    #[test]
    fn other_hosts_are_rejected() {
        for host in [
            "",
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "localhost.",
            "a.localhost",
            "127.0.0.1.evil.example",
            "127.0.0.1.nip.io:9090",
            "127.1",
            "0x7f000001",
            "2130706433",
            "0177.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:+80",
            "127.0.0.1:65536",
            "127.0.0.1:80:80",
            "::1",
            "[::1",
            "::1]",
            "[::1]x",
            "[fe80::1%25eth0]:80",
            "[127.0.0.1]",
            "user@127.0.0.1",
            " 127.0.0.1",
            "127.0.0.1/",
        ] {
            assert!(!is_address(host), "{host}");
        }
    }
}
