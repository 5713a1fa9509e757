//! Which content coding an answer is sent in (RFC 9110 §12.5.3).

use actix_web::http::header::{self, HeaderMap};

use super::MAX_ITEMS;

/// A content coding that the two reads are sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Every coding.
    pub(crate) const ALL: [Self; 3] = [Self::Identity, Self::Gzip, Self::Zstd];

    /// The value of `Content-Encoding`, when one is due.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// The coding that the request asks for.
    ///
    /// The highest weight decides. Among equals it is gzip, of which rows are made three times as fast as of
    /// zstd, then zstd, then the answer as it is. `*` stands for gzip and never for zstd: whoever understands that names
    /// it. Only the first 64 codings are read. Without `Accept-Encoding`, and whenever no coding of ours is wanted, the answer is sent as it is; a caller that
    /// forbids even that is not refused.
    pub(crate) fn wanted(headers: &HeaderMap) -> Self {
        let (mut gzip, mut zstd, mut identity, mut any) = (None, None, None, None);
        let lines = headers.get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok());
        for item in lines.flat_map(|line| line.split(',')).take(MAX_ITEMS) {
            let (name, weight) = item.split_once(';').unwrap_or((item, ""));
            let weight = quality(weight);
            match name.trim().to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => gzip = Some(weight),
                "zstd" => zstd = Some(weight),
                "identity" => identity = Some(weight),
                "*" => any = Some(weight),
                _ => {}
            }
        }
        let wanted = [(gzip.or(any), Self::Gzip), (zstd, Self::Zstd), (identity, Self::Identity)];
        let wanted = wanted.into_iter().filter_map(|(weight, coding)| Some((weight?, coding)));
        let best = wanted.filter(|(weight, _)| *weight > 0).rev().max_by_key(|(weight, _)| *weight);
        best.map_or(Self::Identity, |(_, coding)| coding)
    }
}

/// The weight in thousandths; an unreadable one counts as 0, an absent one as 1.
fn quality(parameter: &str) -> u16 {
    let parameter = parameter.trim();
    if parameter.is_empty() {
        return 1_000;
    }
    let value = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
    value
        .and_then(|value| value.trim().parse::<f32>().ok())
        .filter(|value| (0.0..=1.0).contains(value))
        .map_or(0, |value| (value * 1_000.0) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn wanted(line: &str) -> Coding {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
        Coding::wanted(&headers)
    }

    #[test]
    fn gzip_is_sent_to_those_who_ask_for_it() {
        for line in [
            "gzip",
            "GZIP",
            "x-gzip",
            "deflate, gzip, br",
            "gzip;q=0.001",
            "br, *",
            "gzip ; q=1.0",
            "*;q=0.5",
            "identity, gzip",
            "identity;q=0, gzip;q=0.1",
        ] {
            assert_eq!(wanted(line), Coding::Gzip, "{line}");
        }
    }

    #[test]
    fn zstd_is_sent_to_those_who_prefer_it_or_know_no_gzip() {
        for line in [
            "zstd",
            "br, ZSTD",
            "gzip;q=0.5, zstd",
            "zstd;q=0.002, gzip;q=0.001",
            "gzip;q=0, zstd;q=0.1",
            "*;q=0.1, zstd",
            "zstd, identity",
        ] {
            assert_eq!(wanted(line), Coding::Zstd, "{line}");
        }
    }

    #[test]
    fn among_equals_it_is_gzip() {
        for line in ["gzip, deflate, br, zstd", "zstd, gzip", "zstd;q=0.5, gzip;q=0.5", "zstd, *"] {
            assert_eq!(wanted(line), Coding::Gzip, "{line}");
        }
    }

    #[test]
    fn codings_behind_the_most_are_not_read() {
        let others = |count| format!("{}zstd", "x,".repeat(count));
        assert_eq!(wanted(&others(MAX_ITEMS - 1)), Coding::Zstd);
        assert_eq!(wanted(&others(MAX_ITEMS)), Coding::Identity);
    }

    #[test]
    fn nothing_is_compressed_for_the_others() {
        for line in [
            "",
            "identity",
            "gzip;q=0",
            "gzip;q=0.000, *",
            "*;q=0",
            "br",
            "gzip;q=2",
            "gzip;q=x",
            "gzipped",
            "zstd;q=0",
            "identity, gzip;q=0.9",
            "identity;q=0.5, zstd;q=0.4",
        ] {
            assert_eq!(wanted(line), Coding::Identity, "{line}");
        }
        assert_eq!(Coding::wanted(&HeaderMap::new()), Coding::Identity);
    }
}
