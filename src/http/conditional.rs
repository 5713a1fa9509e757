//! Conditional requests (RFC 9110 §13): weak entity tags and `If-None-Match`.

use actix_web::http::header::{self, HeaderMap};

/// Whether the caller already has the representation with this weak tag (`W/"…"`).
///
/// Compared weakly (RFC 9110 §8.8.3.2), over all lines of the header; `*` matches whatever exists. What is not an
/// entity tag matches nothing.
pub fn is_unchanged(headers: &HeaderMap, tag: &str) -> bool {
    headers.get_all(header::IF_NONE_MATCH).filter_map(|value| value.to_str().ok()).any(|line| {
        line.trim() == "*" || tags(line).any(|candidate| Some(candidate) == tag.strip_prefix("W/"))
    })
}

/// The opaque parts (quotes included) of the entity tags in one header line.
fn tags(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let opaque = rest.strip_prefix("W/").unwrap_or(rest);
        let length = opaque.strip_prefix('"')?.find('"')? + 2;
        let (tag, after) = opaque.split_at(length);
        rest = after;
        Some(tag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn unchanged(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_NONE_MATCH, HeaderValue::from_str(line).unwrap());
        }
        is_unchanged(&headers, r#"W/"abc""#)
    }

    #[test]
    fn the_tag_is_found_weak_or_strong_alone_or_in_a_list() {
        for line in [r#"W/"abc""#, r#""abc""#, r#""x", W/"abc""#, r#"W/"a,c",W/"abc""#, "*", " * "] {
            assert!(unchanged(&[line]), "{line}");
        }
        assert!(unchanged(&[r#""x""#, r#""abc""#]));
    }

    #[test]
    fn everything_else_is_a_change() {
        for line in ["", "abc", r#""abd""#, r#"W/abc"#, r#"w/"abc""#, r#""abc"#, r#""x"; "abc""#, r#""*""#] {
            assert!(!unchanged(&[line]), "{line}");
        }
        assert!(!unchanged(&[]));
    }
}
