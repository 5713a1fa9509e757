//! Holds the tables of `docs/` against what they speak of, so that they cannot rot.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod support {
    pub(crate) mod sources;
}

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use semver::{Version, VersionReq};
use support::sources::sources;

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// The first string literal of this text, with `…` for each value that is put in.
fn message(code: &str) -> Option<String> {
    let mut letters = code[code.find('"')? + 1..].chars().peekable();
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => return Some(text),
            '\\' => match letters.next()? {
                // A string goes on in the next line, after its blanks.
                '\n' => while letters.next_if(|next| next.is_whitespace()).is_some() {},
                escaped => text.push(escaped),
            },
            '{' => {
                letters.by_ref().find(|next| *next == '}')?;
                text.push('…');
            }
            letter => text.push(letter),
        }
    }
    None
}

/// Every text that follows one of these marks outside of tests, with its file.
fn messages(files: &[PathBuf], marks: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in files {
        let name = file.display().to_string();
        if name.contains("/tests") {
            continue;
        }
        let text = fs::read_to_string(file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for mark in marks {
            for (at, _) in code.match_indices(mark) {
                let code = code[at + mark.trim_end_matches('"').len()..].trim_start();
                // A log line's target is not what it says.
                let code = code
                    .strip_prefix("target:")
                    .and_then(|code| code.split_once(','))
                    .map_or(code, |(_, code)| code);
                found.push((name.clone(), message(code).unwrap()));
            }
        }
    }
    found
}

#[test]
fn operations_explains_every_log_message_and_start_error() {
    let manual = read("docs/OPERATIONS.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let logged = messages(&files, &["log::error!(", "log::warn!(", "log::info!("]);
    assert!(logged.len() > 20, "the test sees the messages ({})", logged.len());
    let files = ["src/server.rs", "src/store/error.rs", "src/auth/key_error.rs"].map(|name| root.join(name));
    let refused = messages(&files, &["#[error(\"", "#[error(\n"]);
    assert!(refused.len() > 15, "the test sees the errors ({})", refused.len());
    let missing: Vec<_> = logged
        .iter()
        .chain(&refused)
        .filter(|(_, text)| text.chars().any(char::is_alphabetic) && !manual.contains(text.as_str()))
        .collect();
    assert!(missing.is_empty(), "docs/OPERATIONS.md does not explain:\n{missing:#?}");
}

#[test]
fn messages_are_read_as_they_are_printed() {
    assert_eq!(message(r#"log::warn!("a {b} \"c\" {:?}", d)"#).unwrap(), "a … \"c\" …");
    assert_eq!(message("log::info!(\n    \"one \\\n     two\"").unwrap(), "one two");
}

/// The anchors of a page's headings, as GitHub makes them, and the headings themselves.
fn headings(page: &str) -> BTreeSet<String> {
    let lines = page.split("```").step_by(2).flat_map(str::lines);
    let titles = lines.filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    titles
        .flat_map(|title| {
            let dropped = |letter: char| !letter.is_alphanumeric() && !"-_ ".contains(letter);
            [title.to_lowercase().replace(dropped, "").replace(' ', "-"), title.to_owned()]
        })
        .collect()
}

#[test]
fn links_and_citations_of_the_documents_resolve() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    let mut check = |from: &Path, target: &Path, heading: &str| {
        let page = fs::read_to_string(target).unwrap_or_default();
        if !target.exists() || !(heading.is_empty() || headings(&page).contains(heading)) {
            broken.push(format!("{}: {} {heading}", from.display(), target.display()));
        }
    };
    for directory in ["", "docs", "deploy"] {
        for page in fs::read_dir(root.join(directory)).unwrap().map(|entry| entry.unwrap().path()) {
            if page.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let text = fs::read_to_string(&page).unwrap();
            for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let (path, heading) = link.split_once('#').unwrap_or((link, ""));
                if !path.contains(':') {
                    let target = if path.is_empty() { page.clone() } else { page.with_file_name(path) };
                    check(&page, &target, heading);
                }
            }
        }
    }
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        for citation in text.split("docs/").skip(1) {
            if let Some((page, rest)) = citation.split_once(", \"")
                && page.ends_with(".md")
                && !page.contains(char::is_whitespace)
            {
                check(file, &root.join("docs").join(page), rest.split('"').next().unwrap());
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The names under these headings of Cargo.toml.
fn required() -> BTreeSet<String> {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let mut names = BTreeSet::new();
    let mut add = |table: Option<&toml::Value>| {
        names.extend(
            table.and_then(toml::Value::as_table).into_iter().flat_map(|table| table.keys().cloned()),
        );
    };
    for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
        add(manifest.get(section));
    }
    names
}

#[test]
fn every_direct_dependency_has_its_reason_and_no_other() {
    let reported: BTreeSet<String> = read("docs/DEPENDENCIES.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|row| row.split('`').next().unwrap().to_owned())
        .collect();
    let required = required();
    let lacking: Vec<_> = required.difference(&reported).collect();
    let gone: Vec<_> = reported.difference(&required).collect();
    assert!(lacking.is_empty(), "docs/DEPENDENCIES.md has no row for {lacking:?}");
    assert!(gone.is_empty(), "docs/DEPENDENCIES.md has rows for what Cargo.toml does not name: {gone:?}");
}

/// Name and version of every package in Cargo.lock.
fn locked() -> BTreeSet<(String, String)> {
    let lock: toml::Table = read("Cargo.lock").parse().unwrap();
    lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let text = |name: &str| package[name].as_str().unwrap().to_owned();
            (text("name"), text("version"))
        })
        .collect()
}

/// The ids that deny.toml allows, each with a reason.
fn allowed_advisories() -> BTreeSet<String> {
    let deny: toml::Table = read("deny.toml").parse().unwrap();
    let allowed = deny["advisories"]["ignore"].as_array().unwrap().iter();
    allowed
        .map(|entry| {
            assert!(entry["reason"].as_str().unwrap().len() > 20, "{entry}");
            entry["id"].as_str().unwrap().to_owned()
        })
        .collect()
}

/// The advisories of this table that these packages meet: id, crate and version.
fn met(table: &str, packages: &BTreeSet<(String, String)>) -> Vec<(String, String)> {
    let table: toml::Table = table.parse().unwrap();
    let mut met = Vec::new();
    for advisory in table["advisory"].as_array().unwrap() {
        let text = |name: &str| advisory[name].as_str().unwrap();
        assert!(text("id").starts_with("RUSTSEC-20") && !text("what").is_empty(), "{advisory}");
        let ranges = advisory["affected"].as_array().unwrap().iter();
        let ranges: Vec<VersionReq> = ranges.map(|range| range.as_str().unwrap().parse().unwrap()).collect();
        assert!(!ranges.is_empty(), "{advisory}");
        for (name, version) in packages.iter().filter(|(name, _)| name == text("crate")) {
            let version: Version = version.parse().unwrap();
            if ranges.iter().any(|range| range.matches(&version)) {
                met.push((text("id").to_owned(), format!("{name} {version}")));
            }
        }
    }
    met
}

#[test]
fn no_locked_crate_has_a_known_advisory_that_is_not_allowed() {
    let met = met(&read("advisories.toml"), &locked());
    let allowed = allowed_advisories();
    let wrong: Vec<_> = met.iter().filter(|(id, _)| !allowed.contains(id)).collect();
    assert!(wrong.is_empty(), "update, or allow it in deny.toml with a reason: {wrong:?}");
    let ids: BTreeSet<_> = met.into_iter().map(|(id, _)| id).collect();
    assert_eq!(
        ids, allowed,
        "deny.toml allows what no locked crate has, or advisories.toml does not know it"
    );
}

#[test]
fn crate_in_an_affected_range_is_found() {
    let found = |name: &str, version: &str| {
        let package = BTreeSet::from([(name.to_owned(), version.to_owned())]);
        met(&read("advisories.toml"), &package).into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(found("ring", "0.17.11"), ["RUSTSEC-2025-0009"]);
    assert_eq!(found("ring", "0.17.12"), [""; 0]);
    assert_eq!(found("tokio", "1.44.1"), ["RUSTSEC-2025-0023"]);
    assert_eq!(found("h2", "0.3.27"), ["RUSTSEC-2026-0258"]);
    assert_eq!(found("slab", "0.4.11"), [""; 0]);
}

/// The first line of every recipe of the justfile.
fn recipes() -> Vec<String> {
    let is_head =
        |line: &&str| line.starts_with(|letter: char| letter.is_ascii_lowercase()) && line.contains(':');
    read("justfile").lines().filter(is_head).map(str::to_owned).collect()
}

#[test]
fn every_recipe_in_the_documents_exists() {
    let recipes = recipes();
    let mut named = 0;
    for document in ["README.md", "CONTRIBUTING.md", "docs/TESTING.md", "docs/DEPENDENCIES.md"] {
        let text = read(document);
        for (at, _) in text.match_indices("just ") {
            let name = text[at + 5..]
                .split(|letter: char| !(letter.is_ascii_lowercase() || letter == '-'))
                .next()
                .unwrap();
            let is_code = text[..at].ends_with(['`', '\n']);
            if is_code && !name.is_empty() && !name.starts_with('-') {
                named += 1;
                let exists = recipes.iter().any(|head| head.split([' ', ':']).next() == Some(name));
                assert!(exists, "{document} names `just {name}`");
            }
        }
    }
    assert!(named > 5, "the test sees the recipes ({named})");
    let readme = read("README.md");
    for command in ["cargo run -- dev", "cargo test"] {
        assert!(readme.lines().any(|line| line == command), "README.md prints `{command}`");
    }
}

#[test]
fn every_path_in_contributing_exists() {
    let text = read("CONTRIBUTING.md");
    let code = text.split('`').skip(1).step_by(2).filter(|code| !code.contains(char::is_whitespace));
    let is_path = |code: &&str| code.contains('/') && !code.contains("NAME") && !code.starts_with("target/");
    let paths: Vec<_> = code.filter(is_path).collect();
    assert!(paths.len() > 50, "the test sees the paths ({})", paths.len());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let gone: Vec<_> = paths.into_iter().filter(|path| !root.join(path).exists()).collect();
    assert!(gone.is_empty(), "CONTRIBUTING.md names what is not there: {gone:?}");
}

#[test]
fn ci_never_leaves_the_advisories_out_in_silence() {
    let justfile = read("justfile").replace("\\\n", "");
    let mut lanes = justfile.lines().filter(|line| line.contains(".ci/lane "));
    assert!(
        lanes.any(|lane| lane.split(' ').any(|recipe| recipe == "advisories")),
        "the dated table is checked by a recipe of its own"
    );
    let script = read(".ci/advisories");
    assert!(script.contains("--test documents advisory"));
    assert!(script.contains("advisories.toml") && script.contains("check --disable-fetch advisories"));
    let table: toml::Table = read("advisories.toml").parse().unwrap();
    chrono::NaiveDate::parse_from_str(table["as_of"].as_str().unwrap(), "%Y-%m-%d").unwrap();
}

#[test]
fn dependency_table_has_the_versions_of_cargo_lock() {
    let locked = locked();
    for line in read("docs/DEPENDENCIES.md").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let (name, version) = (cells[1].trim_matches('`').to_owned(), cells[2].to_owned());
        assert!(locked.contains(&(name.clone(), version.clone())), "{name} {version} is not in Cargo.lock");
    }
}
