use super::*;
use actix_web::http::header::HeaderValue;

const TAG: &str = "abc";

fn headers(name: &HeaderName, lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    headers
}

fn is_listed(lines: &[&str]) -> bool {
    let unchanged = if_none_match_fails(&headers(&header::IF_NONE_MATCH, lines), is(TAG));
    let fails = if_match_fails(&headers(&header::IF_MATCH, lines), is(TAG));
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
        assert!(if_match_fails(&headers(&header::IF_MATCH, &[line]), |_| false), "{line}");
        assert!(!if_none_match_fails(&headers(&header::IF_NONE_MATCH, &[line]), |_| false), "{line}");
    }
    assert!(!if_match_fails(&headers(&header::IF_MATCH, &[]), |_| false));
}
