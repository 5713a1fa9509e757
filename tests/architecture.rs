//! Holds the arrows of `src/lib.rs`: which module may use which, and which crate belongs to one module alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use sources::sources;

/// module → the modules of ours that it may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["app", "settings", "store", "domain", "auth", "http", "logging", "regular_file"]),
    ("app", &["http", "settings", "auth", "store", "domain", "essential", "links", "regular_file"]),
    (
        "http",
        &[
            "auth",
            "store",
            "domain",
            "strict_json",
            "escape",
            "metrics",
            "links",
            "essential",
            "line_writer",
            "regular_file",
        ],
    ),
    ("auth", &["domain", "strict_json", "regular_file"]),
    ("store", &["domain", "metrics", "essential", "links", "regular_file"]),
    ("settings", &["domain", "regular_file"]),
    ("logging", &["escape", "line_writer"]),
    ("line_writer", &[]),
    ("links", &[]),
    ("regular_file", &[]),
    ("metrics", &[]),
    ("escape", &[]),
    ("essential", &[]),
    ("domain", &[]),
    ("strict_json", &[]),
];

/// crate → the only modules that may name it.
const OWNERS: [(&str, &[&str]); 15] = [
    ("biscuit", &["auth"]),
    ("sled", &["store"]),
    ("tokio_postgres", &["store"]),
    ("tokio_postgres_rustls", &["store"]),
    ("deadpool_postgres", &["store"]),
    ("actix_web", &["http", "app", "cli"]),
    ("validator", &["http"]),
    ("utoipa", &["http"]),
    ("utoipa_swagger_ui", &["http"]),
    ("maud", &["http"]),
    ("prometheus_client", &["http"]),
    ("procfs", &["http", "app", "cli"]),
    ("clap", &["cli", "main"]),
    ("listenfd", &["app"]),
    ("sd_notify", &["app"]),
];

/// (module, path below src, text without comments) of every source file.
fn modules() -> Vec<(String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files
        .into_iter()
        .map(|file| {
            let name = file.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let module = name.split(['/', '.']).next().unwrap().to_owned();
            let text = fs::read_to_string(&file).unwrap();
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .collect::<Vec<_>>()
                .join("\n");
            (module, name, code)
        })
        .collect()
}

/// The names that follow this prefix in the text, `{…}` groups included.
fn named_after<'a>(code: &'a str, prefix: &str) -> BTreeSet<&'a str> {
    let is_name = |character: char| character.is_alphanumeric() || character == '_';
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut start = 0;
            for (position, character) in group.char_indices() {
                match character {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => {
                        names.insert(group[start..position].trim().split(|c| !is_name(c)).next().unwrap());
                        start = position + 1;
                    }
                    _ => {}
                }
                if depth == 0 {
                    names.insert(group[start..position].trim().split(|c| !is_name(c)).next().unwrap());
                    break;
                }
            }
        } else {
            names.insert(rest.split(|c| !is_name(c)).next().unwrap());
        }
    }
    names.remove("");
    names
}

#[test]
fn modules_use_only_what_stands_to_their_right() {
    let known: BTreeSet<&str> = ARROWS.iter().map(|(module, _)| *module).collect();
    let mut arrows = 0;
    for (module, file, code) in modules() {
        if module == "lib" {
            continue;
        }
        let (_, allowed) = ARROWS
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{file}: the module {module} has no row in ARROWS"));
        let prefix = if module == "main" { "virksomhedslogin::" } else { "crate::" };
        for used in named_after(&code, prefix) {
            if known.contains(used) && used != module {
                assert!(allowed.contains(&used), "src/{file} uses {used}, which {module} may not");
                arrows += 1;
            }
        }
    }
    assert!(arrows > 20, "the test sees the use lines ({arrows})");
}

#[test]
fn each_guarded_crate_is_named_by_its_owners_alone() {
    for (name, owners) in OWNERS {
        let mut seen = 0;
        for (module, file, code) in modules() {
            let named = code.match_indices(&format!("{name}::")).any(|(at, _)| {
                !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
            });
            if named {
                assert!(owners.contains(&module.as_str()), "src/{file} names {name}");
                seen += 1;
            }
        }
        assert!(seen > 0, "nobody names {name}");
    }
}

#[test]
fn the_use_lines_are_understood() {
    let code = "use crate::a::b;\nuse crate::{\n    c::{d, e},\n    f,\n};\nlet x = crate::g(1);";
    assert_eq!(named_after(code, "crate::"), BTreeSet::from(["a", "c", "f", "g"]));
}
