use super::*;
use actix_web::http::header::HeaderName;

fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
    }
    headers
}

#[test]
fn json_is_known_by_its_media_type() {
    for value in
        ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json", "application/json;"]
    {
        assert!(is_json(&headers(&[(header::CONTENT_TYPE, value)])), "{value}");
    }
    for value in [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "",
        "json",
        "application/jsonx",
        "image/x+json",
    ] {
        assert!(!is_json(&headers(&[(header::CONTENT_TYPE, value)])), "{value}");
    }
    assert!(!is_json(&headers(&[])));
}

#[test]
fn a_second_media_type_is_not_json() {
    let json = (header::CONTENT_TYPE, "application/json");
    assert!(!is_json(&headers(&[json.clone(), json.clone()])));
}
