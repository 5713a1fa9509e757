//! Whom a call is from, and what the page prints, behind proxies that are trusted and behind others.

use virksomhedslogin::testing::OrganisationType::Star;

use crate::suites::api::harness::{TestApp, spawn_app_on_socket, spawn_app_with};

const TRUSTED: &str = r#"server.trusted_proxies = ["127.0.0.1", "10.0.0.0/8", "2001:db8:ffff::/48"]"#;

/// The caller's address in the audit line of a call with these lines in its head.
fn remote(app: &TestApp, lines: &[&str]) -> String {
    let answer = app.as_org(Star).raw_get_with("/v1/Logins", lines);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{lines:?}: {answer}");
    app.audit().last().unwrap()["remote"].as_str().unwrap().to_owned()
}

/// The address that the page's `curl` lines call, for a request with these lines in its head.
fn printed(app: &TestApp, lines: &[&str]) -> String {
    let page = app.as_anonymous().raw_get_with("/?sprog=en", lines);
    let (_, rest) = page.split_once("curl -i '").unwrap_or_else(|| panic!("{lines:?}: {page}"));
    rest.split_once("/v1/").unwrap().0.to_owned()
}

#[test]
fn the_caller_is_the_rightmost_hop_that_is_no_trusted_proxy() {
    let app = spawn_app_with(TRUSTED);
    for (lines, expected) in [
        (&[] as &[&str], "127.0.0.1"),
        (&["X-Forwarded-For: 203.0.113.9"], "203.0.113.9"),
        (&["X-Forwarded-For: 198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (&["X-Forwarded-For: 203.0.113.9, 10.1.2.3,10.0.0.2"], "203.0.113.9"),
        (&["X-Forwarded-For: 203.0.113.9", "X-Forwarded-For: 10.1.2.3"], "203.0.113.9"),
        (&["X-Forwarded-For: 10.9.9.9, 10.1.2.3"], "10.9.9.9"),
        (&["X-Forwarded-For: 203.0.113.9:4711"], "203.0.113.9"),
        (&["X-Forwarded-For: 2001:db8::9, 2001:db8:ffff::1"], "2001:db8::9"),
        (&["X-Forwarded-For: [2001:db8::9]:4711, [2001:db8:ffff::1]"], "2001:db8::9"),
        (&["X-Forwarded-For: ::ffff:203.0.113.9, ::ffff:10.1.2.3"], "203.0.113.9"),
        (&["Forwarded: for=203.0.113.9"], "203.0.113.9"),
        (&["forwarded: FOR=203.0.113.9;proto=https, for=10.1.2.3;by=_x"], "203.0.113.9"),
        (&["Forwarded: for=198.51.100.1", "Forwarded: for=203.0.113.9, for=10.1.2.3"], "203.0.113.9"),
        (&[r#"Forwarded: for="[2001:db8::9]:4711", for="[2001:DB8:ffff::1]""#], "2001:db8::9"),
        (&[r#"Forwarded: by="_a,b;c";for="203.0.113.9:_port";secret="x,y""#], "203.0.113.9"),
        (&["Forwarded: for=203.0.113.9, ,"], "203.0.113.9"),
        // What `Forwarded` is there for is not looked for elsewhere.
        (&["X-Forwarded-For: 198.51.100.1", "Forwarded: for=203.0.113.9"], "203.0.113.9"),
        (&["X-Forwarded-For: 198.51.100.1", "Forwarded: proto=https"], "127.0.0.1"),
    ] {
        assert_eq!(remote(&app, lines), expected, "{lines:?}");
    }
}

#[test]
fn left_of_a_hop_that_is_no_address_nothing_is_believed() {
    let app = spawn_app_with(TRUSTED);
    for hop in
        ["unknown", "_hidden", "garbage", "203.0.113.9:x", "[2001:db8::9", "1.2.3", "\"\"", "evil.example"]
    {
        for (lines, expected) in [
            ([format!("X-Forwarded-For: 198.51.100.1, {hop}")], "127.0.0.1"),
            ([format!("X-Forwarded-For: 198.51.100.1, {hop}, 10.0.0.2")], "10.0.0.2"),
            ([format!("Forwarded: for=198.51.100.1, for={hop}")], "127.0.0.1"),
            ([format!("Forwarded: for=198.51.100.1, for={hop}, for=10.0.0.2")], "10.0.0.2"),
            ([format!("Forwarded: for=198.51.100.1, {hop}, for=203.0.113.7")], "203.0.113.7"),
        ] {
            assert_eq!(remote(&app, &[&lines[0]]), expected, "{lines:?}");
        }
    }
    for line in [
        "X-Forwarded-For: 198.51.100.1, , 10.0.0.2",
        "Forwarded: for=198.51.100.1, for=1.2.3.4;for=203.0.113.9, for=10.0.0.2",
        "Forwarded: for=198.51.100.1, proto=https, for=10.0.0.2",
        "Forwarded: for=\"198.51.100.1, for=10.0.0.2",
        "Forwarded: for=198.51.100.1, for=\"203.0.113.9\\\", for=10.0.0.2",
    ] {
        assert_eq!(remote(&app, &[line]), "10.0.0.2", "{line}");
    }
    let sent = b"GET /v1/Logins HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-For: 198.51.100.1, \xff\r\n\r\n";
    assert!(app.raw(sent).starts_with("HTTP/1.1 401 "));
    assert_eq!(app.audit().last().unwrap()["remote"], "127.0.0.1");
}

#[test]
fn a_client_cannot_break_what_a_proxy_appends() {
    let app = spawn_app_with(TRUSTED);
    for sent in ["for=198.51.100.1;x=\"", "for=\"", "\"", "for=198.51.100.1;x=\"a, b", "\\", ";", "="] {
        let line = format!(r#"Forwarded: {sent}, for="[2001:db8::9]:4711";proto=https"#);
        assert_eq!(remote(&app, &[&line]), "2001:db8::9", "{line}");
    }
}

#[test]
fn forged_headers_of_a_client_have_no_effect() {
    let lines = [
        "Forwarded: for=203.0.113.9;proto=https;host=evil.example",
        "X-Forwarded-For: 203.0.113.9",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Host: evil.example",
    ];
    for more in
        ["", r#"server.trusted_proxies = ["10.0.0.0/8", "::1", "unix"]"#, "server.trusted_proxies = []"]
    {
        let app = spawn_app_with(more);
        assert_eq!(remote(&app, &lines), app.remote(), "{more}");
        assert_eq!(printed(&app, &lines), "http://localhost", "{more}");
        let app = spawn_app_on_socket(&more.replace(", \"unix\"", ""));
        assert_eq!(remote(&app, &lines), "unix", "{more}");
        assert_eq!(printed(&app, &lines), "http://localhost", "{more}");
    }
}

#[test]
fn whoever_connects_to_the_unix_socket_can_be_trusted() {
    let app = spawn_app_on_socket(r#"server.trusted_proxies = ["unix", "10.0.0.0/8"]"#);
    assert_eq!(remote(&app, &[]), "unix");
    assert_eq!(remote(&app, &["X-Forwarded-For: 203.0.113.9, 10.0.0.2"]), "203.0.113.9");
    assert_eq!(remote(&app, &["Forwarded: for=unknown"]), "unix");
    let lines = ["X-Forwarded-Proto: https", "X-Forwarded-Host: login.example.dk"];
    assert_eq!(printed(&app, &lines), "https://login.example.dk");
}

#[test]
fn the_page_prints_scheme_and_host_that_the_caller_asked_for() {
    let app = spawn_app_with(TRUSTED);
    for (lines, expected) in [
        (&[] as &[&str], "http://localhost"),
        (&["X-Forwarded-Proto: https"], "https://localhost"),
        (&["X-Forwarded-Proto: http, HTTPS"], "https://localhost"),
        (&["X-Forwarded-Host: evil.example, login.example.dk:8443"], "http://login.example.dk:8443"),
        (&["X-Forwarded-Host: evil.example", "X-Forwarded-Host: a.dk"], "http://a.dk"),
        (&["X-Forwarded-Host: a.dk, evil'example"], "http://localhost"),
        (&["X-Forwarded-Proto: https, javascript"], "http://localhost"),
        (
            &["Forwarded: for=203.0.113.9;proto=https;host=a.dk, for=10.0.0.2;proto=http;host=b.dk"],
            "https://a.dk",
        ),
        (&["Forwarded: for=203.0.113.9;proto=https;host=a.dk, for=203.0.113.8"], "http://localhost"),
        (&[r#"Forwarded: for=_x;host="[2001:db8::1]:8443";proto=https"#], "https://[2001:db8::1]:8443"),
        (&["Forwarded: proto=https;host=a.dk, for=unknown"], "http://localhost"),
        (&["Forwarded: for=garbage, for=10.0.0.2;proto=https;host=a.dk"], "https://a.dk"),
        (&[r#"Forwarded: for=203.0.113.9;proto=ftp;host="a b""#], "http://localhost"),
        (&["Forwarded: for=203.0.113.9", "X-Forwarded-Proto: https"], "http://localhost"),
    ] {
        assert_eq!(printed(&app, lines), expected, "{lines:?}");
    }
}

#[test]
fn a_public_url_is_printed_whatever_was_asked() {
    for url in ["https://login.example.dk", "https://gateway.example.dk:8443/virksomhedslogin/"] {
        let app = spawn_app_with(&format!("{TRUSTED}\nserver.public_url = \"{url}\""));
        let lines = ["X-Forwarded-Proto: http", "X-Forwarded-Host: other.example"];
        assert_eq!(printed(&app, &lines), url.trim_end_matches('/'));
        assert_eq!(printed(&app, &[]), url.trim_end_matches('/'));
    }
}

#[test]
fn refused_calls_are_counted_by_the_address_that_a_trusted_proxy_names() {
    let app = spawn_app_with(&format!("{TRUSTED}\nlimits.refused_per_second = 1"));
    let from = |address: &str| {
        let answer = app.as_anonymous().raw_get_with("/v1/Logins", &[&format!("X-Forwarded-For: {address}")]);
        answer.split(' ').nth(1).unwrap().to_owned()
    };
    let answers: Vec<_> = (0..30).map(|_| from("203.0.113.9")).collect();
    assert_eq!((answers[0].as_str(), answers[29].as_str()), ("401", "429"));
    assert_eq!(from("203.0.113.10"), "401");
    let forged = spawn_app_with("limits.refused_per_second = 1");
    let answers: Vec<_> = (0..30)
        .map(|at| {
            forged.as_anonymous().raw_get_with("/v1/Logins", &[&format!("X-Forwarded-For: 203.0.113.{at}")])
        })
        .collect();
    assert!(answers[29].starts_with("HTTP/1.1 429 "), "a client that makes up addresses has one bucket");
}

#[test]
fn nothing_is_read_on_the_management_listener() {
    let app = spawn_app_with(TRUSTED);
    let export = ureq::get(format!("http://{}/export", app.management));
    assert_eq!(export.header("X-Forwarded-For", "203.0.113.9").call().unwrap().status(), 200);
    assert_eq!(app.audit().last().unwrap()["remote"], "127.0.0.1");
}
