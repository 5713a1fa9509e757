use actix_web::http::Method as Verb;

use super::{loggable_path, loggable_verb};

#[test]
fn only_short_verbs_and_paths_of_known_letters_are_logged() {
    for (path, logged) in [
        ("/v1/Login/12345678", "/v1/Login/12345678"),
        ("/swagger/swagger-ui.css", "/swagger/swagger-ui.css"),
        ("/%65yJ", "(other)"),
        ("/\"x", "(other)"),
        ("/\u{202e}", "(other)"),
        ("/eyJhbGciOi", "(long)"),
        (&"/a".repeat(33), "(long)"),
    ] {
        assert_eq!(loggable_path(path), logged, "{path}");
    }
    for (verb, logged) in [
        ("GET", "GET"),
        ("PROPFIND", "PROPFIND"),
        ("eyJhbGciOi", "(other)"),
        ("A~B", "(other)"),
        (&"A".repeat(17), "(other)"),
    ] {
        assert_eq!(loggable_verb(&Verb::from_bytes(verb.as_bytes()).unwrap()), logged, "{verb}");
    }
}
