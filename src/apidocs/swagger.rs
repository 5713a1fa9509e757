//! Swagger UI, served from inside the binary and pointed at `/openapi.json`.
//!
//! The files are those of the vendored release; its `index.html` is replaced by one with a title and a text for readers without
//! JavaScript. Nothing is loaded from elsewhere: the validator badge is off, and the policy limits the browser to this service.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use flate2::read::GzDecoder;
use utoipa_swagger_ui::Config;

use super::document::Document;

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

/// Our own page, and our own style sheet, which wraps names that are wider than a small screen.
const INDEX: &str = include_str!("swagger/index.html");
const NARROW: &str = include_str!("swagger/narrow.css");

/// By name below `/swagger/`; the page itself has none.
static FILES: LazyLock<BTreeMap<&'static str, Document>> = LazyLock::new(|| {
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
        let (mut identity, stored) = (Vec::new(), Bytes::from(file.bytes.into_owned()));
        if !file.gzpipped {
            return Some((name, Document::new(&file.content_type, stored, None)));
        }
        GzDecoder::new(stored.as_ref()).read_to_end(&mut identity).ok()?;
        Some((name, Document::new(&file.content_type, identity, Some(stored))))
    });
    let narrow = Document::new("text/css", NARROW, None);
    let index = Document::new("text/html; charset=utf-8", INDEX, None);
    loaded.chain([("narrow.css", narrow), ("", index)]).collect()
});

pub(super) fn file(name: &str) -> Option<&'static Document> {
    FILES.get(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_loads_is_in_the_binary() {
        for name in LOADED {
            let file = file(name).unwrap_or_else(|| panic!("{name}"));
            assert!(!file.identity.is_empty(), "{name}");
            assert!(INDEX.contains(&format!("\"{name}\"")), "{name} is not loaded");
        }
    }

    #[test]
    fn it_reads_our_document_and_calls_no_other_host() {
        let file = file("swagger-initializer.js").unwrap();
        let text = str::from_utf8(&file.identity).unwrap();
        assert!(text.contains(r#""url": "/openapi.json""#), "{text}");
        assert!(text.contains(r#""validatorUrl": "none""#), "{text}");
        assert!(!text.contains("http"), "{text}");
    }
}
