//! Which content coding an answer is sent in (RFC 9110 §12.5.3).

use actix_web::http::header::{self, HeaderMap, Preference, Quality, QualityItem};

use super::request::MAX_ITEMS;

/// A content coding that the two reads are sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// The value of `Content-Encoding`, when one is due.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// The coding that the request asks for: the one of the highest weight.
    ///
    /// Among equals it is gzip, of which rows are made three times as fast as of zstd, then zstd, then identity. `*` means
    /// gzip and never zstd, which a client that understands it names. Without a coding of ours the answer is identity,
    /// even for a client that forbids that. Only the first [`MAX_ITEMS`] codings are read.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let (mut gzip, mut zstd, mut identity, mut any) = (None, None, None, None);
        let lines = headers.get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
        for item in lines.flat_map(|line| line.split(',')).take(MAX_ITEMS) {
            let Ok(QualityItem { item, quality }) = item.trim().parse::<QualityItem<Preference<String>>>()
            else {
                continue;
            };
            match item.item().map(|name| name.to_ascii_lowercase()).as_deref() {
                Some("gzip" | "x-gzip") => gzip = Some(quality),
                Some("zstd") => zstd = Some(quality),
                Some("identity") => identity = Some(quality),
                None => any = Some(quality),
                Some(_) => {}
            }
        }
        let wanted = [(identity, Self::Identity), (zstd, Self::Zstd), (gzip.or(any), Self::Gzip)];
        let wanted = wanted.into_iter().filter_map(|(quality, coding)| Some((quality?, coding)));
        let best = wanted.filter(|(quality, _)| *quality > Quality::ZERO).max_by_key(|(quality, _)| *quality);
        best.map_or(Self::Identity, |(_, coding)| coding)
    }
}

#[cfg(test)]
mod tests;
