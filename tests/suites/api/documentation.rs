//! The documentation as a browser gets it: the page, the OpenAPI document, Swagger UI, the style sheet.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use virksomhedslogin::testing::OrganisationType::{JobCenter, Star};

use crate::suites::api::harness::{Answer, TestApp, spawn_app, spawn_app_with};

const SERVED: [&str; 5] = ["/", "/openapi.json", "/swagger", "/swagger/", "/swagger/swagger-ui.css"];

fn get(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Answer {
    app.as_anonymous().send("GET", path, headers, None)
}

/// The addresses of the style sheet and the script that the page names.
fn assets(page: &str) -> [&str; 2] {
    let named: Vec<&str> = page.split('"').filter(|value| value.starts_with("/assets/")).collect();
    named.try_into().unwrap()
}

#[test]
fn every_answer_keeps_the_browser_within_this_service() {
    let app = spawn_app();
    let page = get(&app, "/", &[]);
    for path in SERVED.into_iter().chain(assets(page.text())) {
        let raw = app.raw(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
        let head = raw.split("\r\n\r\n").next().unwrap().to_lowercase();
        let policy = head.lines().find_map(|line| line.strip_prefix("content-security-policy: "));
        let policy = policy.unwrap_or_else(|| panic!("{path}: {head}"));
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{path}: {policy}");
        for line in
            ["x-content-type-options: nosniff", "referrer-policy: no-referrer", "permissions-policy: "]
        {
            assert!(head.contains(line), "{path} has no {line}");
        }
    }
    assert!(page.header("content-security-policy").unwrap().contains("script-src 'self';"));
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
}

#[test]
fn the_page_is_small_and_loads_nothing_but_its_assets() {
    let app = spawn_app();
    for query in ["/?sprog=da", "/?sprog=en"] {
        let page = get(&app, query, &[]);
        let assets = assets(page.text()).map(|path| get(&app, path, &[]).body.len());
        assert!(page.body.len() + assets[0] + assets[1] < 100_000, "{} + {assets:?}", page.body.len());
        assert_eq!(page.text().matches("<script").count(), 1);
        for part in ["<script>", "<style", " style=", "<img", " onclick", "<iframe", "<form"] {
            assert!(!page.text().contains(part), "{part}");
        }
        let elsewhere = page.text().matches("://").count();
        let here = page.text().matches(&format!("http://{}/", app.address)).count();
        assert_eq!(elsewhere, here, "only this service is named");
        assert_eq!(page.text().matches("<h1").count(), 1);
        assert_eq!(page.text().matches("<main").count(), 1);
        assert_eq!(page.text().matches("<table").count(), page.text().matches("<caption").count());
    }
}

#[test]
fn assets_are_immutable_under_the_hash_of_their_content() {
    let app = spawn_app();
    let page = get(&app, "/", &[]);
    let types = ["text/css; charset=utf-8", "text/javascript; charset=utf-8"];
    for (path, content_type) in assets(page.text()).into_iter().zip(types) {
        let asset = get(&app, path, &[]);
        assert_eq!((asset.status, asset.header("content-type")), (200, Some(content_type)));
        assert_eq!(asset.header("cache-control"), Some("max-age=31536000, immutable"));
    }
    for other in ["/assets/style.css", "/assets/", "/assets/0000000000000000.css", "/assets/../Cargo.toml"] {
        assert_eq!(get(&app, other, &[]).problem(), (404, "1014".to_owned()), "{other}");
    }
}

#[test]
fn a_new_table_of_access_shows_on_the_page_and_in_the_document() {
    let app = spawn_app();
    let before = (get(&app, "/", &[]), get(&app, "/openapi.json", &[]));
    let table = "version = 1\n[GetLogin]\nJobCenter = [\"SystemAlleBorgere\"]\n";
    std::fs::write(app.directory.path().join("access.toml"), table).unwrap();
    app.reload.run().unwrap();
    let (page, document) = (get(&app, "/", &[]), get(&app, "/openapi.json", &[]));

    assert_ne!(page.header("etag"), before.0.header("etag"));
    assert_ne!(document.header("etag"), before.1.header("etag"));
    let rows: Vec<&str> =
        page.text().split("<tr>").filter(|row| row.starts_with("<th scope=\"row\">JobCenter")).collect();
    assert_eq!(rows.len(), 1);
    assert!(
        rows[0].starts_with(&format!(
            "<th scope=\"row\">JobCenter</th>{}<td>X</td></tr>",
            "<td></td>".repeat(7)
        ))
    );
    assert!(!page.text().contains("<th scope=\"row\">STAR"));
    assert_eq!(page.text().matches("Ingen organisationer").count(), 2);
    let access =
        |path: &str, verb: &str| document.json()["paths"][path][verb]["x-tilladte-organisationer"].clone();
    assert_eq!(access("/v1/Login", "get"), serde_json::json!({ "JobCenter": ["SystemAlleBorgere"] }));
    assert_eq!(access("/v1/Logins", "get"), serde_json::json!({}));
}

#[test]
fn the_document_is_the_one_that_is_kept_in_the_repository() {
    let app = spawn_app();
    let document = get(&app, "/openapi.json", &[]);
    assert_eq!(document.header("content-type"), Some("application/json"));
    assert!(
        document.text() == include_str!("../../../docs/openapi.json"),
        "docs/openapi.json is not what the code says; renew it: cargo run -- openapi > docs/openapi.json"
    );
}

#[test]
fn the_page_speaks_the_readers_language() {
    let app = spawn_app();
    for (path, accepted, language, words) in [
        ("/", "", "da", "Kom godt i gang"),
        ("/", "da, en;q=0.8", "da", "Kom godt i gang"),
        ("/", "en-GB,en;q=0.9,da;q=0.5", "en", "Getting started"),
        ("/?sprog=en", "da", "en", "Getting started"),
        ("/?sprog=da", "en", "da", "Kom godt i gang"),
        ("/?sprog=%3Cx%3E", "en", "en", "Getting started"),
    ] {
        let page = get(&app, path, &[("Accept-Language", accepted)]);
        assert_eq!(page.header("content-language"), Some(language), "{path} {accepted}");
        assert_eq!(page.header("vary"), Some("Accept-Language"));
        assert!(page.text().contains(&format!("<html lang=\"{language}\">")));
        assert!(page.text().contains(words));
        for part in ["/?sprog=da", "/?sprog=en", "Tilladte organisationer", "Virksomheden blev ikke fundet."]
        {
            assert!(page.text().contains(part), "{path} {accepted}: {part}");
        }
    }
}

#[test]
fn curl_lines_call_the_requested_host_if_it_is_valid() {
    let app = spawn_app();
    let page = |host: &str, more: &str| {
        app.raw(format!("GET / HTTP/1.1\r\nHost: {host}\r\n{more}Connection: close\r\n\r\n").as_bytes())
    };
    assert!(page("login.example.dk", "").contains("curl -i 'http://login.example.dk/v1/Logins'"));
    for host in ["'$(id)'", "a<b", "a'b", "a\"b", "a:99999999", "x@y"] {
        let page = page(host, "");
        assert!(!page.contains(host), "{host}");
        assert!(
            page.starts_with("HTTP/1.1 400") || page.contains("http://localhost:8080/v1/Logins"),
            "{page}"
        );
    }
    let forwarded =
        "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nForwarded: host=evil.example\r\n";
    let page = page("login.example.dk", forwarded);
    assert!(page.contains("'http://login.example.dk/v1/Logins'") && !page.contains("evil"));
}

#[test]
fn page_and_document_say_how_to_fetch_only_what_changed() {
    let app = spawn_app();
    for (language, words) in [("da", "Hent kun det, der er ændret"), ("en", "Fetch only what changed")] {
        let page = get(&app, &format!("/?sprog={language}"), &[]).text().replace("&quot;", "\"");
        assert!(page.contains(words), "{language}");
        assert!(page.contains("-H 'A-IM: feed' -H \"If-None-Match: $TAG\""), "{language}");
        for rule in ["<li>200: ", "<li>226: ", "<li>304: "] {
            assert_eq!(page.matches(rule).count(), 1, "{language} {rule}");
        }
    }
    let document = get(&app, "/openapi.json", &[]).json();
    let operation = &document["paths"]["/v1/Logins"]["get"];
    let names: Vec<_> = operation["parameters"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
    assert!(names.contains(&&"A-IM".into()) && names.contains(&&"If-None-Match".into()), "{names:?}");
    for header in ["IM", "ETag", "Vary"] {
        assert!(operation["responses"]["226"]["headers"][header].is_object(), "{header}");
    }
    assert_eq!(operation["responses"]["226"]["content"], operation["responses"]["200"]["content"]);
}

#[test]
fn the_examples_are_taken_by_the_service_itself() {
    let app = spawn_app();
    let page = get(&app, "/", &[]);
    let start = page.text().find(r#"-d '{"#).or_else(|| page.text().find("-d '{&quot;")).unwrap() + 4;
    let body = page.text()[start..].split('\'').next().unwrap().replace("&quot;", "\"");
    assert_eq!(app.as_org(Star).put("/v1/Login/12345678", &body).status, 204);
    let answer =
        app.as_org(JobCenter).get_login("12345678").text().replace("08:15:30.123Z\"}", "09:00:00.000Z\"}");
    let shown = page.text().replace("&quot;", "\"");
    assert!(shown.contains(&answer), "{answer}");
}

#[test]
fn head_is_get_without_a_body_and_other_verbs_are_named() {
    let app = spawn_app();
    for path in SERVED {
        let (get, head) = (get(&app, path, &[]), app.as_anonymous().send("HEAD", path, &[], None));
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("etag"), get.header("etag"));
        assert_eq!(head.header("content-type"), get.header("content-type"));
        for verb in ["POST", "PUT", "DELETE"] {
            let body = (verb != "DELETE").then_some(&b"{}"[..]);
            let answer = app.as_anonymous().send(verb, path, &[], body);
            assert_eq!(answer.problem(), (405, "1014".to_owned()), "{verb} {path}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD, OPTIONS"));
        }
        let options = app.as_anonymous().send("OPTIONS", path, &[], None);
        assert_eq!((options.status, options.header("allow")), (204, Some("GET, HEAD, OPTIONS")));
    }
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let app = spawn_app();
    for path in ["/", "/openapi.json", "/swagger/", "/swagger/swagger-ui.css"] {
        let first = get(&app, path, &[]);
        let tag = first.header("etag").unwrap().to_owned();
        let again = get(&app, path, &[("If-None-Match", &tag)]);
        assert_eq!(
            (again.status, again.body.len(), again.header("etag")),
            (304, 0, Some(tag.as_str())),
            "{path}"
        );
        assert_eq!(get(&app, path, &[("If-None-Match", "W/\"x\"")]).status, 200);
    }
    let danish = get(&app, "/", &[]).header("etag").unwrap().to_owned();
    assert_eq!(get(&app, "/", &[("Accept-Language", "en"), ("If-None-Match", &danish)]).status, 200);
}

#[test]
fn swagger_ui_comes_from_the_binary() {
    let app = spawn_app();
    let raw = app.raw(b"GET /swagger HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").to_lowercase();
    assert!(raw.starts_with("http/1.1 308") && raw.contains("\r\nlocation: /swagger/\r\n"), "{raw}");
    let index = get(&app, "/swagger/", &[]);
    assert_eq!(index.header("content-type"), Some("text/html; charset=utf-8"));
    let names: Vec<&str> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| index.text().split(attribute).skip(1))
        .map(|rest| rest.split('"').next().unwrap())
        .filter(|name| *name != "/")
        .collect();
    assert_eq!(names.len(), 8, "{names:?}");
    for name in names {
        let path = format!("/swagger/{name}");
        let plain = get(&app, &path, &[]);
        assert_eq!((plain.status, plain.header("content-encoding")), (200, None), "{path}");
        let packed = app.raw(
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        let head = packed.split("\r\n\r\n").next().unwrap().to_lowercase();
        let is_packed = head.contains("content-encoding: gzip");
        // The two that are made here are short.
        assert_eq!(is_packed, !["swagger-initializer.js", "narrow.css"].contains(&name), "{head}");
        assert!(head.contains("vary: accept-encoding"));
    }
    for other in ["/swagger/index.html", "/swagger/oauth2-redirect.html", "/swagger/x", "/swagger/../x"] {
        assert_eq!(get(&app, other, &[]).problem(), (404, "1014".to_owned()), "{other}");
    }
}

#[test]
fn the_document_is_compressed_for_those_who_ask() {
    let app = spawn_app();
    let plain = get(&app, "/openapi.json", &[]);
    let tag = plain.header("etag").unwrap();
    let answer = get(&app, "/openapi.json", &[("Accept-Encoding", "gzip")]);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&answer.body[..]).read_to_end(&mut text).unwrap();
    assert!(text == plain.body && answer.body.len() < text.len() / 3);
    assert_ne!(answer.header("etag"), Some(tag));
    let again = get(&app, "/openapi.json", &[("Accept-Encoding", "gzip"), ("If-None-Match", tag)]);
    assert_eq!(again.status, 200, "each coding has a tag of its own");
}

/// This process' memory in use, in bytes.
fn memory() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

#[test]
fn a_hundred_readers_that_take_nothing_hold_no_file_each() {
    let app = spawn_app();
    let path = "/swagger/swagger-ui-bundle.js";
    let length = get(&app, path, &[]).body.len();
    assert!(length > 1 << 20);
    for more in ["", "Accept-Encoding: gzip\r\n"] {
        let before = memory();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n").repeat(4);
        let readers: Vec<_> = (0..100)
            .map(|_| {
                let mut stream = TcpStream::connect(&app.address).unwrap();
                stream.write_all(request.as_bytes()).unwrap();
                stream
            })
            .collect();
        // Until the systems' buffers are full.
        std::thread::sleep(Duration::from_secs(1));
        readers.iter().for_each(|mut stream| assert!(stream.read(&mut [0; 100]).unwrap() > 0));
        let grown = memory().saturating_sub(before);
        // A file each would be 150 MB; by themselves they take 32. Other tests run in this process and take some, too.
        assert!(grown < 115 << 20, "{} KiB", grown >> 10);
    }
}

#[test]
fn without_documentation_its_paths_are_unknown_like_any_other() {
    let app = spawn_app_with("server.documentation = false");
    let unknown = get(&app, "/x", &[("x-requestId", "a")]);
    for path in SERVED {
        for verb in ["GET", "HEAD", "POST", "OPTIONS"] {
            let body = (verb == "POST").then_some(&b"{}"[..]);
            let answer = app.as_anonymous().send(verb, path, &[("x-requestId", "a")], body);
            assert_eq!(answer.status, 404, "{verb} {path}");
            if verb != "HEAD" {
                assert_eq!(answer.text(), unknown.text());
            }
        }
    }
    assert_eq!(app.as_org(Star).set_login("12345678").status, 204);
}
