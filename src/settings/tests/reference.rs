//! Holds `config/virksomhedslogin.toml` against the table of keys: every key with its explanation, default and range, and
//! nothing else.

use std::collections::BTreeMap;

use strum::VariantNames;

use crate::auth::Algorithm;
use crate::domain::access::OrganisationType;
use crate::settings::keys::{self, Default, Kind};
use crate::settings::{access, load};

const INTERFACE: &str = include_str!("../../../docs/INTERFACE.md");
const REFERENCE: &str = include_str!("../../../config/virksomhedslogin.toml");

/// A key as the reference prints it.
struct Printed {
    comment: String,
    commented_out: bool,
    value: toml::Value,
}

fn printed() -> BTreeMap<String, Printed> {
    let (mut section, mut comment, mut printed) = (String::new(), String::new(), BTreeMap::new());
    for line in REFERENCE.lines() {
        let bare = line.trim_start_matches("# ");
        let assignment = bare.split_once(" = ").filter(|(name, _)| {
            name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') && !name.is_empty()
        });
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((name, value)) = assignment {
            let table: toml::Table = format!("{name} = {value}").parse().unwrap();
            let entry = Printed {
                comment: std::mem::take(&mut comment),
                commented_out: line.starts_with('#'),
                value: table[name].clone(),
            };
            assert!(printed.insert(format!("{section}.{name}"), entry).is_none(), "{section}.{name} twice");
        } else if line.is_empty() {
            comment.clear();
        } else {
            comment.push_str(bare);
            comment.push(' ');
        }
    }
    printed
}

/// The value as a variable would give it.
fn as_variable(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Array(items) => items.iter().map(as_variable).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

#[test]
fn interface_names_every_key() {
    for key in keys::ALL.iter().filter(|key| key.kind != Kind::Table) {
        let (section, name) = key.path.rsplit_once('.').unwrap();
        let (section, name) = (format!("`[{section}]`"), format!("`{name}`"));
        let mut rows = INTERFACE.lines().filter(|line| line.starts_with('|') && line.contains(&section));
        assert!(rows.any(|row| row.contains(&name)), "docs/INTERFACE.md does not name {}", key.path);
    }
}

#[test]
fn reference_has_every_key_with_range_and_default() {
    let printed = printed();
    for key in keys::ALL.iter().filter(|key| key.kind != Kind::Table) {
        let Some(entry) = printed.get(key.path) else { panic!("{} is not in the reference", key.path) };
        assert!(!entry.comment.trim().is_empty(), "{} is not explained", key.path);
        match key.default {
            Default::Mandatory => assert!(!entry.commented_out, "{} is mandatory", key.path),
            Default::Nothing => assert!(entry.comment.contains("No default."), "{}", key.path),
            _ => assert!(entry.commented_out, "{} has a default", key.path),
        }
        if let Default::Is(text) = key.default {
            assert_eq!(as_variable(&entry.value), text, "{}", key.path);
        }
        if let Kind::Number { min, max } = key.kind {
            assert!(entry.comment.contains(&format!("{min} to {max}")), "{}: {}", key.path, entry.comment);
            assert!(!key.path.ends_with("_seconds") || entry.comment.contains("Seconds"), "{}", key.path);
        }
        if let Kind::OneOf(words) = key.kind {
            assert!(words.iter().all(|word| entry.comment.contains(word)), "{}", key.path);
        }
    }
}

#[test]
fn the_reference_has_no_other_keys() {
    for path in printed().keys() {
        assert!(keys::find(path).is_some(), "{path}");
    }
}

#[test]
fn the_reference_explains_the_table_of_organisation_types() {
    assert!(REFERENCE.contains("[token.organisation_types]"));
}

#[test]
fn the_reference_has_every_algorithm() {
    assert!(REFERENCE.contains(&Algorithm::VARIANTS.join(", ")));
}

#[test]
fn the_reference_loads_once_the_keys_are_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("virksomhedslogin.toml");
    std::fs::write(&file, REFERENCE).unwrap();
    std::fs::write(directory.path().join("access.toml"), access::SHIPPED).unwrap();
    std::fs::write(directory.path().join("jwks.json"), "{}").unwrap();
    load(&file, std::iter::empty()).unwrap();
}

#[test]
fn the_reference_loads_with_every_default_written_out() {
    let mut text = String::new();
    for line in REFERENCE.lines() {
        let bare = line.trim_start_matches("# ");
        let path_like = bare.split_once(" = ").map(|(name, _)| name);
        let wanted = !matches!(
            path_like,
            Some(
                "url"
                    | "url_file"
                    | "ca_file"
                    | "password_file"
                    | "tls_ca_file"
                    | "tls_cert_file"
                    | "tls_key_file"
            )
        );
        let is_key = path_like.is_some_and(|name| !name.contains(' '));
        text.push_str(if wanted && is_key { bare } else { line });
        text.push('\n');
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("virksomhedslogin.toml");
    std::fs::write(&file, text).unwrap();
    std::fs::write(directory.path().join("access.toml"), access::SHIPPED).unwrap();
    std::fs::write(directory.path().join("jwks.json"), "{}").unwrap();
    let settings = load(&file, std::iter::empty()).unwrap();
    let types = settings.token.rules.organisation_types;
    assert_eq!(types.len(), 3);
    // The law of 2025 has "kommune" where it had "jobcenter".
    assert_eq!(types["Kommune"], OrganisationType::JobCenter);
}
