//! The page and the OpenAPI document, rendered once for each access table.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;

use super::compress;
use super::host::Host;
use super::language::Language;
use super::{fingerprint, openapi, page};
use crate::api::encoding::Coding;
use crate::domain::access::AccessTable;

/// Where the page's address goes; not a character of any text.
const BASE: &str = "\u{fdd0}";

/// What was rendered last. A reload replaces the access table, and with it this.
#[derive(Debug, Default)]
struct Cache(ArcSwapOption<Rendered>);

/// What the documentation is made from.
#[derive(Debug)]
pub(crate) struct DocsState {
    access_table: Arc<ArcSwap<AccessTable>>,
    cache: Cache,
}

/// What is rendered of one access table.
#[derive(Debug)]
pub(super) struct Rendered {
    access_table: Arc<AccessTable>,
    danish: Page,
    english: Page,
    /// As it is, in gzip and in zstd.
    document: [Bytes; 3],
    fingerprint: String,
}

/// The page in one language, without the address that its calls go to.
#[derive(Debug)]
pub(super) struct Page {
    between: Vec<String>,
    fingerprint: String,
}

impl DocsState {
    /// The documentation of this access table and of those that replace it.
    pub(crate) fn new(access_table: Arc<ArcSwap<AccessTable>>) -> Self {
        Self { access_table, cache: Cache::default() }
    }

    /// What is rendered of the access table that is loaded now.
    ///
    /// # Errors
    /// When the document cannot be written, which no request can cause.
    pub(super) fn rendered(&self) -> Result<Arc<Rendered>, Box<dyn std::error::Error>> {
        let (cache, access_table) = (&self.cache.0, self.access_table.load_full());
        if let Some(rendered) =
            cache.load_full().filter(|rendered| Arc::ptr_eq(&rendered.access_table, &access_table))
        {
            return Ok(rendered);
        }
        let rendered = Arc::new(Rendered::new(access_table)?);
        cache.store(Some(Arc::clone(&rendered)));
        Ok(rendered)
    }
}

impl Rendered {
    fn new(access_table: Arc<AccessTable>) -> Result<Self, Box<dyn std::error::Error>> {
        let document = openapi::document(&access_table)?.into_bytes();
        let coded = |coding| compress::encode(document.clone(), coding).map(Bytes::from);
        Ok(Self {
            danish: Page::new(&page::render(&access_table, Language::Danish, BASE)),
            english: Page::new(&page::render(&access_table, Language::English, BASE)),
            document: [coded(Coding::Identity)?, coded(Coding::Gzip)?, coded(Coding::Zstd)?],
            fingerprint: fingerprint(&document),
            access_table,
        })
    }

    pub(super) fn page(&self, language: Language) -> &Page {
        match language {
            Language::Danish => &self.danish,
            Language::English => &self.english,
        }
    }

    /// The document in this coding, and its entity tag.
    pub(super) fn document(&self, coding: Coding) -> (Bytes, String) {
        let [identity, gzip, zstd] = &self.document;
        let bytes = match coding {
            Coding::Identity => identity,
            Coding::Gzip => gzip,
            Coding::Zstd => zstd,
        };
        (bytes.clone(), super::coded_tag(&self.fingerprint, coding))
    }
}

impl Page {
    fn new(page: &str) -> Self {
        Self {
            between: page.split(BASE).map(str::to_owned).collect(),
            fingerprint: fingerprint(page.as_bytes()),
        }
    }

    /// The page whose calls go to this host.
    pub(super) fn text(&self, host: &Host) -> String {
        self.between.join(&host.base())
    }

    /// The entity tag of that.
    pub(super) fn tag(&self, host: &Host) -> String {
        format!(r#"W/"{}{}""#, self.fingerprint, fingerprint(host.base().as_bytes()))
    }
}
