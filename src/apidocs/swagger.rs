//! Swagger UI, served from inside the binary and pointed at `/openapi.json`.
//!
//! The files are those of the vendored release; its `index.html` is replaced by one that says what this is and has a
//! way out for those without JavaScript. Nothing is fetched from elsewhere: the validator badge is off, and the policy
//! lets the browser talk to this service alone.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use maud::{DOCTYPE, html};
use utoipa_swagger_ui::Config;

/// Its own scripts and styles, its calls to this service, and the icons that its style sheet carries as data.
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                                 connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The files that the page loads, all there is of the release that is served.
const LOADED: [&str; 7] = [
    "swagger-ui.css",
    "index.css",
    "swagger-ui-bundle.js",
    "swagger-ui-standalone-preset.js",
    "swagger-initializer.js",
    "favicon-32x32.png",
    "favicon-16x16.png",
];

/// Beside them: names that are wider than a small screen, in fonts that are wide, are wrapped.
const NARROW: &str = "narrow.css";
const NARROW_STYLE: &str =
    ".swagger-ui .info .title, .swagger-ui .json-schema-2020-12__title { overflow-wrap: anywhere; }\n";

/// A file of Swagger UI.
#[derive(Debug)]
pub(super) struct File {
    /// Its bytes as they are kept.
    pub(super) bytes: Bytes,
    /// Its media type.
    pub(super) content_type: String,
    /// Whether the bytes are gzip.
    pub(super) packed: bool,
    /// How many bytes they are unpacked.
    pub(super) length: u64,
    /// A short name for the bytes.
    pub(super) fingerprint: String,
}

impl File {
    fn new(bytes: Bytes, content_type: String, packed: bool) -> Self {
        let fingerprint = super::fingerprint(&bytes);
        let length = if packed { unpacked_length(&bytes) } else { bytes.len() as u64 };
        Self { bytes, content_type, packed, length, fingerprint }
    }
}

/// What gzip's trailer says (RFC 1952 §2.3.1, ISIZE), which is the length of what is shorter than 4 GiB.
fn unpacked_length(gzip: &[u8]) -> u64 {
    gzip.last_chunk().map_or(0, |length| u32::from_le_bytes(*length).into())
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
    let mut files = BTreeMap::new();
    for name in LOADED {
        // What is missing is a 404, and a test asks for every one.
        let Ok(Some(file)) = utoipa_swagger_ui::serve(name, Arc::clone(&config)) else { continue };
        let bytes = match file.bytes {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        files.insert(name, File::new(bytes, file.content_type, file.gzpipped));
    }
    files
        .insert(NARROW, File::new(Bytes::from_static(NARROW_STYLE.as_bytes()), "text/css".to_owned(), false));
    files.insert("", File::new(index().into(), "text/html; charset=utf-8".to_owned(), false));
    files
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
            let mut plain = Vec::new();
            if file.packed {
                flate2::read::GzDecoder::new(file.bytes.as_ref()).read_to_end(&mut plain).unwrap();
            } else {
                plain.extend_from_slice(&file.bytes);
            }
            assert!(!plain.is_empty(), "{name}");
            assert_eq!(file.length, plain.len() as u64, "{name}");
            assert!(index().contains(&format!("\"{name}\"")), "{name} is not loaded");
        }
    }

    #[test]
    fn it_reads_our_document_and_asks_nobody_else() {
        let file = file("swagger-initializer.js").unwrap();
        let text = str::from_utf8(&file.bytes).unwrap();
        assert!(text.contains(r#""url": "/openapi.json""#), "{text}");
        assert!(text.contains(r#""validatorUrl": "none""#), "{text}");
        assert!(!text.contains("http"), "{text}");
    }
}
