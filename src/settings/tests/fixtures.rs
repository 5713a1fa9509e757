//! One broken file an error, in `tests/fixtures`, compared with the exact words that report it.
//!
//! `expected.txt` beside the fixtures has them: a line `== name`, then the message. A fixture without an
//! expectation fails, and so does an expectation without a fixture.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::settings::access::read_table;
use crate::settings::{SettingsErrors, load};

fn expected(directory: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(Path::new(directory).join("expected.txt")).unwrap();
    text.split("== ")
        .skip(1)
        .map(|entry| {
            let (name, message) = entry.split_once('\n').unwrap();
            (name.to_owned(), message.trim_end().to_owned())
        })
        .collect()
}

fn reported(directory: &str, judge: impl Fn(&Path) -> Option<SettingsErrors>) -> BTreeMap<String, String> {
    let mut messages = BTreeMap::new();
    for file in fs::read_dir(directory).unwrap().map(|file| file.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "toml") {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let message = judge(&file).map_or_else(|| "no error".to_owned(), |errors| errors.to_string());
            messages.insert(name, message.replace(&format!("{directory}/"), ""));
        }
    }
    messages
}

fn assert_reported(directory: &str, judge: impl Fn(&Path) -> Option<SettingsErrors>) {
    let (expected, reported) = (expected(directory), reported(directory, judge));
    // In the form of expected.txt, for a new fixture: check it before copying it.
    let differing: String = reported
        .iter()
        .filter(|(name, message)| expected.get(*name) != Some(*message))
        .map(|(name, message)| format!("== {name}\n{message}\n"))
        .collect();
    assert!(differing.is_empty(), "{directory} differs from its expected.txt:\n{differing}");
    let names = |map: &BTreeMap<String, String>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&reported), names(&expected), "every fixture has an expectation and the reverse");
}

#[test]
fn every_broken_configuration_is_reported_exactly() {
    assert_reported("tests/fixtures/config", |file| load(file, std::iter::empty()).err());
}

#[test]
fn every_broken_access_table_is_reported_exactly() {
    assert_reported("tests/fixtures/access", |file| read_table(file).err().map(SettingsErrors));
}

#[test]
fn no_message_repeats_a_password() {
    for (name, message) in reported("tests/fixtures/config", |file| load(file, std::iter::empty()).err()) {
        assert!(!message.contains("hunter2"), "{name}: {message}");
    }
}
