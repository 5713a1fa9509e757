use super::*;
use actix_web::http::header::HeaderValue;

fn of(values: &[&[u8]]) -> RequestId {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
    }
    RequestId::of(&headers)
}

#[test]
fn a_valid_id_is_kept() {
    for id in ["a", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", &"x".repeat(46), "two words"] {
        let taken = of(&[id.as_bytes()]);
        assert_eq!((taken.as_str(), taken.error()), (id, None));
    }
}

#[test]
fn an_absent_id_is_made_up() {
    let (one, other) = (of(&[]), of(&[]));
    assert_eq!(one.as_str().len(), 36);
    assert_ne!(one.as_str(), other.as_str());
    assert_eq!(one.error(), None);
}

#[test]
fn an_unusable_id_is_an_error_and_not_echoed() {
    let too_long = "x".repeat(47);
    for values in [&[&b""[..]][..], &[too_long.as_bytes()], &[b"a\tb"], &["\u{e6}".as_bytes()], &[b"a", b"a"]]
    {
        let id = of(values);
        assert_eq!(id.error().unwrap().felt, "x-requestId");
        assert_eq!(id.as_str().len(), 36);
    }
}
