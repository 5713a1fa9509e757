//! The style sheet, under a name made of its content: a browser may keep it for ever, and a new one has a new name.

use std::sync::LazyLock;

use super::entity_tag::fingerprint;

pub(super) const TEXT: &str = include_str!("style.css");

static NAME: LazyLock<String> = LazyLock::new(|| format!("{}.css", fingerprint(TEXT.as_bytes())));

/// Its name below `/assets/`.
pub(super) fn name() -> &'static str {
    &NAME
}
