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
