//! Conditional requests (RFC 9110 §13): weak entity tags, `If-None-Match` and `If-Match`.
//!
//! Tags are compared weakly (§8.8.3.2) in both. For `If-Match` the RFC says strongly, but every tag here is weak and none
//! would ever match; a caller that sends one back means the state that it saw. What is not an entity tag matches nothing.

use actix_web::http::header::{self, HeaderMap, HeaderName};

/// Whether the caller already has the representation with this weak tag (`W/"…"`).
pub(crate) fn is_unchanged(headers: &HeaderMap, tag: &str) -> bool {
    lists(headers, header::IF_NONE_MATCH, &[tag])
}

/// Whether the request holds only for some states.
pub(crate) fn has_precondition(headers: &HeaderMap) -> bool {
    headers.contains_key(header::IF_MATCH) || headers.contains_key(header::IF_NONE_MATCH)
}

/// Whether `If-Match` is there and names none of the present state's tags; without a state there are none.
pub(crate) fn if_match_fails(headers: &HeaderMap, present: &[&str]) -> bool {
    headers.contains_key(header::IF_MATCH) && !lists(headers, header::IF_MATCH, present)
}

/// Whether a write is for no state with one of these tags and meets one (§13.1.2): `*` asks to be the first.
pub(crate) fn if_none_match_fails(headers: &HeaderMap, present: &[&str]) -> bool {
    lists(headers, header::IF_NONE_MATCH, present)
}

/// Whether one of these weak tags is listed in the header, over all of its lines; `*` lists whatever exists.
fn lists(headers: &HeaderMap, name: HeaderName, tags: &[&str]) -> bool {
    headers.get_all(name).flat_map(|line| elements(line.as_bytes())).any(|element| {
        let is_tag = |tag: &&str| tag.strip_prefix("W/").map(str::as_bytes) == Some(element);
        !tags.is_empty() && element == b"*" || tags.iter().any(is_tag)
    })
}

/// The elements of one line up to the first that is none: `*`, or the opaque part (quotes included) of an entity tag.
fn elements(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = skip(rest, b" \t,");
        let opaque = rest.strip_prefix(b"W/").unwrap_or(rest);
        let length = match opaque.split_first()? {
            (b'*', _) => 1,
            (b'"', tag) => tag.iter().position(|byte| *byte == b'"')? + 2,
            _ => return None,
        };
        let (element, after) = opaque.split_at(length);
        rest = skip(after, b" \t");
        (rest.is_empty() || rest.starts_with(b",")).then_some(element)
    })
}

/// These bytes without the blanks in front.
fn skip<'a>(bytes: &'a [u8], blanks: &[u8]) -> &'a [u8] {
    let start = bytes.iter().position(|byte| !blanks.contains(byte));
    bytes.get(start.unwrap_or(bytes.len())..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    const TAG: &str = r#"W/"abc""#;

    fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    fn is_listed(lines: &[&str]) -> bool {
        let unchanged = is_unchanged(&headers(&header::IF_NONE_MATCH, lines), TAG);
        let fails = if_match_fails(&headers(&header::IF_MATCH, lines), &[TAG]);
        assert_eq!(unchanged, !fails && !lines.is_empty(), "{lines:?}");
        unchanged
    }

    #[test]
    fn the_tag_is_found_weak_or_strong_alone_or_in_a_list() {
        for line in [
            r#"W/"abc""#,
            r#""abc""#,
            r#""x", W/"abc""#,
            r#"W/"a,c",W/"abc""#,
            r#", "abc" ,"#,
            r#""","abc""#,
            r#""\","abc""#,
            "\"\u{e6}\", \"abc\"",
            "*",
            " * ",
            r#""x", *"#,
        ] {
            assert!(is_listed(&[line]), "{line}");
        }
        assert!(is_listed(&[r#""x""#, r#""abc""#]));
    }

    #[test]
    fn everything_else_names_another() {
        for line in [
            "",
            ",",
            r#""""#,
            r#"W/"""#,
            "abc",
            r#""abd""#,
            r#"W/abc"#,
            r#"w/"abc""#,
            r#"W/ "abc""#,
            r#""abc"#,
            r#""x"; "abc""#,
            r#""abc"; x"#,
            r#""abc" "x""#,
            r#"x, "abc""#,
            r#""*""#,
            "**",
        ] {
            assert!(!is_listed(&[line]), "{line}");
        }
        assert!(!is_listed(&[]));
    }

    #[test]
    fn what_does_not_exist_has_no_state_to_name() {
        for line in ["*", r#""abc""#, ""] {
            assert!(if_match_fails(&headers(&header::IF_MATCH, &[line]), &[]), "{line}");
            assert!(!if_none_match_fails(&headers(&header::IF_NONE_MATCH, &[line]), &[]), "{line}");
        }
        assert!(!if_match_fails(&headers(&header::IF_MATCH, &[]), &[]));
    }
}
