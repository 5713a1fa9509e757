//! The list, page by page, as fast as it is read and no faster.

use std::convert::Infallible;
use std::io::Write;
use std::mem;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{StreamExt, stream};
use tokio::task::yield_now;

use crate::logins::Logins;
use crate::text;

/// Companies a page: little enough that others do not wait for it.
const PAGE: usize = 512;

pub fn list(logins: Logins, headers: &HeaderMap) -> Response {
    let accepted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let gzip = accepted.is_some_and(|codings| codings.contains("gzip"));
    let encoder = gzip.then(|| GzEncoder::new(Vec::new(), Compression::fast()));
    let pages = stream::iter(Pages { logins, next: Some(0), encoder }).then(async |page| {
        // A fast reader would keep this thread to itself.
        yield_now().await;
        Ok::<_, Infallible>(page)
    });
    let headers = [(CONTENT_TYPE, "application/json"), (VARY, "Accept-Encoding")];
    let mut response = (headers, Body::from_stream(pages)).into_response();
    if gzip {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

struct Pages {
    logins: Logins,
    /// The lowest number of the next page; none after the last.
    next: Option<u32>,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Iterator for Pages {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let from = self.next?;
        let companies = self.logins.page(from, PAGE);
        let mut page = Vec::with_capacity((text::WIDTH + 1) * companies.len() + 32);
        if from == 0 {
            page.extend_from_slice(br#"{"virksomheder":["#);
        }
        let mut separated = from == 0;
        for &(cvr, span) in &companies {
            if !mem::take(&mut separated) {
                page.push(b',');
            }
            page.extend_from_slice(&text::company(cvr, span));
        }
        self.next = if companies.len() < PAGE { None } else { companies.last().map(|(cvr, _)| cvr + 1) };
        if self.next.is_none() {
            page.extend_from_slice(b"]}");
        }
        Some(self.compress(page).into())
    }
}

impl Pages {
    /// What is to be sent of a page; of a compressed one that may be less than all, until the last.
    fn compress(&mut self, page: Vec<u8>) -> Vec<u8> {
        let Some(encoder) = &mut self.encoder else { return page };
        let written = encoder
            .write_all(&page)
            .and_then(|()| if self.next.is_none() { encoder.try_finish() } else { Ok(()) });
        written.expect("a vector takes everything");
        mem::take(encoder.get_mut())
    }
}
