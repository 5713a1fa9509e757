//! Holds how `src/` is built: which room stands on which floor (the table in `src/lib.rs`), that nothing imports upwards or in a
//! circle, and which crate belongs to which room.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod support {
    pub(crate) mod sources;
}

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use support::sources::sources;

/// Crate → the only rooms that may name it.
const OWNERS: [(&str, &[&str]); 15] = [
    ("biscuit", &["auth"]),
    ("sled", &["store"]),
    ("tokio_postgres", &["store"]),
    ("tokio_postgres_rustls", &["store"]),
    ("deadpool_postgres", &["store"]),
    ("actix_web", &["api", "apidocs", "audit", "management", "server", "cli", "telemetry"]),
    ("validator", &["api"]),
    ("utoipa", &["api", "apidocs"]),
    ("utoipa_swagger_ui", &["apidocs"]),
    ("maud", &["apidocs"]),
    ("prometheus_client", &["api", "management", "store", "telemetry"]),
    ("procfs", &["management", "server", "cli"]),
    ("clap", &["cli"]),
    ("listenfd", &["server"]),
    ("sd_notify", &["server"]),
];

/// A source file without its tests.
struct Source {
    /// Its module path, as `["api", "list", "text"]`.
    module: Vec<String>,
    /// Its text without comments.
    code: String,
}

impl Source {
    fn room(&self) -> &str {
        &self.module[0]
    }

    fn name(&self) -> String {
        self.module.join("::")
    }

    /// Every absolute path that it names: `crate::…`, `super::…`, and those that begin with a child module.
    fn paths(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        for root in ["crate", "super"] {
            for at in occurrences(&self.code, &format!("{root}::")) {
                let mut base = self.module.clone();
                let mut rest = &self.code[at..];
                if let Some(after) = rest.strip_prefix("crate::") {
                    (base, rest) = (Vec::new(), after);
                }
                while let Some(after) = rest.strip_prefix("super::") {
                    base.pop();
                    rest = after;
                }
                flatten(rest, base, &mut found);
            }
        }
        for child in self.code.lines().filter_map(declared_module) {
            for at in occurrences(&self.code, &format!("{child}::")) {
                flatten(&self.code[at..], self.module.clone(), &mut found);
            }
        }
        found
    }
}

/// The name in `mod name;`, whatever its visibility.
fn declared_module(line: &str) -> Option<&str> {
    let (before, name) = line.trim().strip_suffix(';')?.rsplit_once(' ')?;
    (before == "mod" || before.ends_with(" mod")).then_some(name)
}

/// Where this text begins a path.
fn occurrences<'a>(code: &'a str, text: &str) -> impl Iterator<Item = usize> + use<'a> {
    let found: Vec<usize> = code.match_indices(text).map(|(at, _)| at).collect();
    found.into_iter().filter(move |at| {
        !code[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '_' || before == ':')
    })
}

/// The paths that begin here, `{…}` groups included; returns what follows them.
fn flatten<'a>(text: &'a str, base: Vec<String>, found: &mut Vec<Vec<String>>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        while !rest.trim_start().starts_with('}') {
            rest = flatten(rest, base.clone(), found);
            let end = rest.find([',', '}']).unwrap_or(rest.len());
            rest = &rest[end..];
            rest = rest.strip_prefix(',').unwrap_or(rest);
            if rest.is_empty() {
                return rest;
            }
        }
        return &rest.trim_start()[1..];
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let mut path = base;
    if !name.is_empty() && name != "self" {
        path.push(name.to_owned());
    }
    match rest.strip_prefix("::") {
        Some(rest) => flatten(rest, path, found),
        None => {
            found.push(path);
            rest
        }
    }
}

/// Every file of the library but those of tests.
fn library() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let mut library = Vec::new();
    for file in files {
        let name = file.strip_prefix(&root).unwrap().with_extension("");
        let module: Vec<String> = name.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if module.iter().any(|part| part == "tests") || ["lib", "main"].contains(&module[0].as_str()) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let code: Vec<&str> =
            production.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        library.push(Source { module, code: code.join("\n") });
    }
    library
}

/// Room → floor, from the table in the documentation of the library.
fn floors() -> BTreeMap<String, u8> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let mut floors = BTreeMap::new();
    for row in text.lines().filter_map(|line| line.strip_prefix("//! | ")) {
        let mut cells = row.split('|');
        let (Some(Ok(floor)), Some(rooms)) = (cells.next().map(|cell| cell.trim().parse()), cells.next())
        else {
            continue;
        };
        for room in rooms.split(',') {
            floors.insert(room.trim().trim_matches(['[', ']', '`']).to_owned(), floor);
        }
    }
    assert!(floors.len() > 15, "the table is read: {floors:?}");
    floors
}

#[test]
fn no_import_runs_upward_or_sideways() {
    let floors = floors();
    let mut imports = 0;
    for source in library() {
        let own = floors.get(source.room()).unwrap_or_else(|| panic!("{} has no floor", source.name()));
        for path in source.paths() {
            let Some(other) = path.first().filter(|other| *other != source.room()) else { continue };
            if let Some(floor) = floors.get(other) {
                assert!(floor < own, "{} imports {}, on floor {floor}", source.name(), path.join("::"));
                imports += 1;
            }
        }
    }
    assert!(imports > 100, "the test sees the imports ({imports})");
}

#[test]
fn no_two_files_import_each_other_in_a_circle() {
    let library = library();
    let modules: BTreeSet<String> = library.iter().map(Source::name).collect();
    let file_of = |path: &[String]| {
        (1..=path.len()).rev().map(|length| path[..length].join("::")).find(|name| modules.contains(name))
    };
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in &library {
        let found = source.paths().iter().filter_map(|path| file_of(path)).collect::<BTreeSet<_>>();
        // What a module takes from the one that it is part of is no circle: that one declares it.
        let is_own =
            |other: &String| source.name() == *other || source.name().starts_with(&format!("{other}::"));
        imports.insert(source.name(), found.into_iter().filter(|other| !is_own(other)).collect());
    }
    let mut circles = Vec::new();
    let mut done = BTreeSet::new();
    for start in imports.keys() {
        search(start, &imports, &mut Vec::new(), &mut done, &mut circles);
    }
    assert!(circles.is_empty(), "{} circles:\n{}", circles.len(), circles.join("\n"));
}

/// Searches from this file in depth, and notes each import that leads back to a file on the way to it.
fn search(
    file: &str,
    imports: &BTreeMap<String, BTreeSet<String>>,
    way: &mut Vec<String>,
    done: &mut BTreeSet<String>,
    circles: &mut Vec<String>,
) {
    if let Some(at) = way.iter().position(|seen| seen == file) {
        circles.push(format!("{} → {file}", way[at..].join(" → ")));
        return;
    }
    if done.contains(file) {
        return;
    }
    way.push(file.to_owned());
    for other in &imports[file] {
        search(other, imports, way, done, circles);
    }
    way.pop();
    done.insert(file.to_owned());
}

#[test]
fn each_guarded_crate_is_named_by_its_owners_alone() {
    let library = library();
    for (name, owners) in OWNERS {
        let mut seen = 0;
        for source in &library {
            if occurrences(&source.code, &format!("{name}::")).next().is_some() {
                assert!(owners.contains(&source.room()), "{} names {name}", source.name());
                seen += 1;
            }
        }
        assert!(seen > 0, "no room names {name}");
    }
}

#[test]
fn the_table_of_rooms_in_the_documents_is_that_of_the_library() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let document = fs::read_to_string(root.join("docs/ARCHITECTURE.md")).unwrap();
    for row in
        library.lines().filter_map(|line| line.strip_prefix("//! ")).filter(|line| line.starts_with("| "))
    {
        let row = row.replace("[`", "`").replace("`]", "`");
        assert!(document.contains(&row), "docs/ARCHITECTURE.md lacks the row {row}");
    }
}

#[test]
fn paths_of_use_lines_are_understood() {
    let code = "mod child;\nuse crate::a::{b, c::{D, e}};\nuse super::f as g;\nchild::h();\nx.super::no";
    let source = Source { module: vec!["r".into(), "s".into()], code: code.into() };
    let paths: Vec<String> = source.paths().iter().map(|path| path.join("::")).collect();
    assert_eq!(paths, ["a::b", "a::c::D", "a::c::e", "r::f", "r::no", "r::s::child::h"]);
}
