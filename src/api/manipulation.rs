//! Instance manipulations (RFC 3229): a client that asks for `feed` gets only what changed since the state that it has.

use actix_web::http::header::{HeaderMap, HeaderName};

use super::request::MAX_ITEMS;

/// What a client accepts.
const A_IM: HeaderName = HeaderName::from_static("a-im");
/// What the answer is.
pub(crate) const IM: HeaderName = HeaderName::from_static("im");
pub(crate) const FEED: &str = "feed";

/// Whether `A-IM` lists `feed`. A weight of 0 asks for none, and other manipulations are passed over; only the first
/// [`MAX_ITEMS`] are read.
pub(crate) fn wants_changes(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(A_IM).filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).take(MAX_ITEMS).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_feed = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(FEED));
        is_feed && !parts.any(is_zero_weight)
    })
}

fn is_zero_weight(parameter: &str) -> bool {
    parameter.split_once('=').is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("q") && value.trim().parse::<f32>() == Ok(0.0)
    })
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn wants(lines: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        lines.iter().for_each(|line| headers.append(A_IM, HeaderValue::from_static(line)));
        wants_changes(&headers)
    }

    #[test]
    fn feed_is_found_among_other_manipulations() {
        for lines in [
            &["feed"][..],
            &["FEED"],
            &["vcdiff, feed"],
            &["vcdiff", " feed ; q=0.5"],
            &["feed;q=1.000"],
            &["feed;x=0"],
        ] {
            assert!(wants(lines), "{lines:?}");
        }
        for lines in
            [&[][..], &[""], &["feed;q=0"], &["feed; Q = 0.000"], &["feeds, vcdiff;q=1"], &["\"feed\""]]
        {
            assert!(!wants(lines), "{lines:?}");
        }
    }
}
