//! Which content coding an answer is sent in (RFC 9110 §12.5.3).

use actix_web::http::header::{self, HeaderMap};

/// A content coding that the two reads are sent in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// The value of `Content-Encoding`, when one is due.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
        }
    }

    /// The coding that the request asks for. Without `Accept-Encoding`, and whenever no coding of ours is
    /// wanted, the answer is sent as it is; a caller that forbids even that is not refused.
    pub fn wanted(headers: &HeaderMap) -> Self {
        let (mut gzip, mut any) = (None, None);
        for line in headers.get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok()) {
            for item in line.split(',') {
                let (name, weight) = item.split_once(';').unwrap_or((item, ""));
                let weight = quality(weight);
                match name.trim().to_ascii_lowercase().as_str() {
                    "gzip" | "x-gzip" => gzip = Some(weight),
                    "*" => any = Some(weight),
                    _ => {}
                }
            }
        }
        if gzip.or(any).is_some_and(|weight| weight > 0) { Self::Gzip } else { Self::Identity }
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
        ] {
            assert_eq!(wanted(line), Coding::Gzip, "{line}");
        }
    }

    #[test]
    fn nothing_is_compressed_for_the_others() {
        for line in
            ["", "identity", "gzip;q=0", "gzip;q=0.000, *", "*;q=0", "br", "gzip;q=2", "gzip;q=x", "gzipped"]
        {
            assert_eq!(wanted(line), Coding::Identity, "{line}");
        }
        assert_eq!(Coding::wanted(&HeaderMap::new()), Coding::Identity);
    }
}
