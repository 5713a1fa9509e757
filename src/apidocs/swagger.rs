//! Swagger UI, served from inside the binary and pointed at `/openapi.json`.
//!
//! The files are those of the vendored release; its `index.html` is replaced by one with a title and a text for readers without
//! JavaScript. Nothing is loaded from elsewhere: the validator badge is off, and the policy limits the browser to this service.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use maud::{DOCTYPE, html};
use utoipa_swagger_ui::Config;

use super::entity_tag::fingerprint;

/// Allows its own scripts and styles, calls to this service, and the icons that its style sheet carries as data.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                                 connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files that the page loads, and all that is served of the release.
const LOADED: [&str; 7] = [
    "swagger-ui.css",
    "index.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-32x32.png",
    "favicon-16x16.png",
];

/// Our own: wraps names that are wider than a small screen.
const NARROW: &str = "narrow.css";
const NARROW_STYLE: &str =
    ".swagger-ui .info .title, .swagger-ui .json-schema-2020-12__title { overflow-wrap: anywhere; }\n";

/// A file of Swagger UI.
#[derive(Debug)]
pub(super) struct File {
    /// As stored.
    pub(super) bytes: Bytes,
    pub(super) content_type: String,
    /// Whether it is stored in gzip.
    pub(super) compressed: bool,
    /// How many bytes it has uncompressed.
    pub(super) length: u64,
    pub(super) fingerprint: String,
}

impl File {
    fn new(bytes: Bytes, content_type: &str, compressed: bool) -> Self {
        let fingerprint = fingerprint(&bytes);
        // gzip ends with the length (RFC 1952 §2.3.1, ISIZE).
        let stated =
            bytes.last_chunk().filter(|_| compressed).map(|length| u32::from_le_bytes(*length).into());
        let length = stated.unwrap_or(bytes.len() as u64);
        Self { bytes, content_type: content_type.to_owned(), compressed, length, fingerprint }
    }
}

static FILES: LazyLock<BTreeMap<&'static str, File>> = LazyLock::new(|| {
    let config = Config::new(["/openapi.json"])
        .use_base_layout()
        .deep_linking(true)
        .display_operation_id(true)
        .try_it_out_enabled(true)
        .persist_authorization(false)
        .validator_url("none");
    let config = Arc::new(config);
    // A missing file is a 404, and a test asks for each.
    let loaded = LOADED.into_iter().filter_map(|name| {
        let file = utoipa_swagger_ui::serve(name, Arc::clone(&config)).ok()??;
        let bytes = match file.bytes {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        Some((name, File::new(bytes, &file.content_type, file.gzpipped)))
    });
    let narrow = File::new(Bytes::from_static(NARROW_STYLE.as_bytes()), "text/css", false);
    let index = File::new(index().into(), "text/html; charset=utf-8", false);
    loaded.chain([(NARROW, narrow), ("", index)]).collect()
});

/// The file of this name below `/swagger/`; the page itself has none.
pub(super) fn file(name: &str) -> Option<&'static File> {
    FILES.get(name)
}

fn index() -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Virksomhedslogin – Swagger UI" }
                link rel="stylesheet" href="swagger-ui.css";
                link rel="stylesheet" href="index.css";
                link rel="stylesheet" href=(NARROW);
                link rel="icon" type="image/png" href="favicon-32x32.png" sizes="32x32";
                link rel="icon" type="image/png" href="favicon-16x16.png" sizes="16x16";
            }
            body {
                main id="swagger-ui" {}
                noscript {
                    p lang="da" { "Swagger UI kræver JavaScript. " a href="/" { "Dokumentationen" } " gør ikke." }
                }
                script src="swagger-ui-bundle.js" {}
                script src="swagger-ui-standalone-preset.js" {}
                script src="swagger-initializer.js" {}
            }
        }
    };
    page.into_string()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn every_file_that_the_page_loads_is_in_the_binary() {
        for name in LOADED {
            let file = file(name).unwrap_or_else(|| panic!("{name}"));
            let mut text = Vec::new();
            if file.compressed {
                flate2::read::GzDecoder::new(file.bytes.as_ref()).read_to_end(&mut text).unwrap();
            } else {
                text.extend_from_slice(&file.bytes);
            }
            assert!(!text.is_empty(), "{name}");
            assert_eq!(file.length, text.len() as u64, "{name}");
            assert!(index().contains(&format!("\"{name}\"")), "{name} is not loaded");
        }
    }

    #[test]
    fn it_reads_our_document_and_calls_no_other_host() {
        let file = file("swagger-initializer.js").unwrap();
        let text = str::from_utf8(&file.bytes).unwrap();
        assert!(text.contains(r#""url": "/openapi.json""#), "{text}");
        assert!(text.contains(r#""validatorUrl": "none""#), "{text}");
        assert!(!text.contains("http"), "{text}");
    }
}
