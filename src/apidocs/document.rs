//! A text or file of the documentation as it is served: uncompressed and, where that is shorter, in gzip; with the headers that
//! a browser needs to keep it and to confine it.

use std::io::{self, Read};

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::read::GzEncoder;
use futures_util::{Stream, stream};
use sha2::{Digest, Sha256};

use crate::api::conditional::{self, if_match_fails, if_none_match_fails};
use crate::api::encoding::Coding;
use crate::api::problem::{Kind, Problem};

/// Nothing that a browser could offer is needed.
const PERMISSIONS: &str = "camera=(), clipboard-read=(), display-capture=(), geolocation=(), microphone=(), \
                           payment=(), usb=()";
/// How many bytes are sent at once: actix-http buffers one such piece for a slow reader, and smaller ones cost more processor
/// time than they save memory.
const PIECE: usize = 64 * 1024;

#[derive(Debug, Clone)]
pub(super) struct Document {
    content: Vec<(HeaderName, String)>,
    pub(super) identity: Bytes,
    pub(super) gzip: Option<Bytes>,
    fingerprint: String,
}

impl Document {
    /// `gzip`: the same content, compressed.
    pub(super) fn new(content_type: &str, identity: impl Into<Bytes>, gzip: Option<Bytes>) -> Self {
        let identity = identity.into();
        let content = vec![(header::CONTENT_TYPE, content_type.to_owned())];
        Self { content, fingerprint: fingerprint(&identity), identity, gzip }
    }

    #[must_use]
    pub(super) fn in_language(mut self, tag: &str) -> Self {
        self.content.push((header::CONTENT_LANGUAGE, tag.to_owned()));
        self
    }

    #[must_use]
    pub(super) fn compressed(mut self) -> Self {
        let mut gzip = Vec::new();
        let read = GzEncoder::new(self.identity.as_ref(), Compression::default()).read_to_end(&mut gzip);
        self.gzip = read.ok().map(|_| gzip.into());
        self
    }

    /// The answer under this policy, whose content depends on this header of the request; or 304 for a reader who has it.
    /// It is asked for again each time, because the access table may have changed; the entity tag makes that cheap.
    pub(super) fn answer(
        &self,
        request: &HttpRequest,
        policy: &'static str,
        vary: &'static str,
    ) -> Result<HttpResponse, Problem> {
        let wants_gzip = Coding::wanted(request.headers()) == Coding::Gzip;
        let gzip = self.gzip.as_ref().filter(|_| wants_gzip);
        // Each coding has its own (RFC 9110 §8.8.3.3).
        let tag = format!("{}{}", self.fingerprint, if gzip.is_some() { "-gzip" } else { "" });
        if if_match_fails(request.headers(), conditional::is(&tag)) {
            return Err(Problem::new(Kind::PreconditionFailed));
        }
        let mut response = HttpResponse::Ok();
        protect(&mut response, policy);
        response.insert_header((header::CACHE_CONTROL, "no-cache"));
        response.insert_header((header::VARY, vary));
        response.insert_header((header::ETAG, format!(r#"W/"{tag}""#)));
        if if_none_match_fails(request.headers(), conditional::is(&tag)) {
            return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
        }
        for (name, value) in &self.content {
            response.insert_header((name, value.as_str()));
        }
        if gzip.is_some() {
            response.insert_header((header::CONTENT_ENCODING, "gzip"));
        }
        let bytes = gzip.unwrap_or(&self.identity);
        Ok(response.body(SizedStream::new(bytes.len() as u64, pieces(bytes.clone()))))
    }
}

/// The first 64 bits of the SHA-256 of these bytes, in hexadecimal digits.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes)[..8])
}

fn pieces(bytes: Bytes) -> impl Stream<Item = io::Result<Bytes>> {
    let starts = (0..bytes.len()).step_by(PIECE);
    stream::iter(starts.map(move |at| Ok(bytes.slice(at..bytes.len().min(at + PIECE)))))
}

/// The headers that every answer of the documentation carries.
pub(super) fn protect(response: &mut HttpResponseBuilder, policy: &'static str) {
    for field in [
        ("content-security-policy", policy),
        ("referrer-policy", "no-referrer"),
        ("permissions-policy", PERMISSIONS),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        response.insert_header(field);
    }
}
