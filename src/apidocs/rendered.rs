//! The page and the OpenAPI document, rendered once for each access table.

use std::io::{self, Write};
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::entity_tag::{entity_tag, fingerprint};
use super::host::Host;
use super::language::Language;
use super::{openapi, page};
use crate::api::encoding::Coding;
use crate::domain::access::AccessTable;

/// Placeholder for the page's address; not a character of any text.
const BASE: &str = "\u{fdd0}";

/// What the documentation is made from.
#[derive(Debug)]
pub(crate) struct DocsState {
    access_table: Arc<ArcSwap<AccessTable>>,
    /// What was rendered last; a reload replaces the access table, and with it this.
    cache: ArcSwapOption<Rendered>,
}

/// What is rendered of one access table.
#[derive(Debug)]
pub(super) struct Rendered {
    access_table: Arc<AccessTable>,
    danish: Page,
    english: Page,
    /// In every coding, in the order of [`Coding::ALL`].
    document: [Bytes; 3],
    fingerprint: String,
}

/// The page in one language, with [`BASE`] for the address that its calls go to.
#[derive(Debug)]
pub(super) struct Page {
    text: String,
    fingerprint: String,
}

impl DocsState {
    pub(crate) fn new(access_table: Arc<ArcSwap<AccessTable>>) -> Self {
        Self { access_table, cache: ArcSwapOption::empty() }
    }

    /// What is rendered of the access table that is loaded now.
    pub(super) fn rendered(&self) -> io::Result<Arc<Rendered>> {
        let access_table = self.access_table.load_full();
        let cached = self.cache.load_full();
        if let Some(rendered) = cached.filter(|rendered| Arc::ptr_eq(&rendered.access_table, &access_table)) {
            return Ok(rendered);
        }
        let rendered = Arc::new(Rendered::new(access_table)?);
        self.cache.store(Some(Arc::clone(&rendered)));
        Ok(rendered)
    }
}

impl Rendered {
    fn new(access_table: Arc<AccessTable>) -> io::Result<Self> {
        let document = openapi::document(&access_table)?.into_bytes();
        let [identity, gzip, zstd] = Coding::ALL.map(|coding| encode(&document, coding));
        Ok(Self {
            danish: Page::new(&access_table, Language::Danish),
            english: Page::new(&access_table, Language::English),
            document: [identity?.into(), gzip?.into(), zstd?.into()],
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
        (self.document[coding as usize].clone(), entity_tag(&self.fingerprint, coding))
    }
}

impl Page {
    fn new(access_table: &AccessTable, language: Language) -> Self {
        let text = page::render(access_table, language, BASE);
        Self { fingerprint: fingerprint(text.as_bytes()), text }
    }

    /// The page whose calls go to this host.
    pub(super) fn text(&self, host: &Host) -> String {
        self.text.replace(BASE, &host.base())
    }

    /// The entity tag of that.
    pub(super) fn tag(&self, host: &Host) -> String {
        let host = fingerprint(host.base().as_bytes());
        entity_tag(&format!("{}{host}", self.fingerprint), Coding::Identity)
    }
}

/// The text in this coding.
fn encode(text: &[u8], coding: Coding) -> io::Result<Vec<u8>> {
    match coding {
        Coding::Identity => Ok(text.to_vec()),
        Coding::Gzip => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(text)?;
            gzip.finish()
        }
        Coding::Zstd => zstd::bulk::compress(text, zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}
