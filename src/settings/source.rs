//! Gathers the values of one configuration file and the environment, each with where it came from.
//!
//! Promises: unknown keys and variables are errors. Does not: check values (`read` does).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::{Origin, SettingError};
use super::keys;
use super::keys::{Kind, PREFIX};
use super::text::{QUOTED, joined, nearest, shown, unquoted};
use super::toml_file::{line, parse_toml, read_file};

/// A value, not yet checked against its key's type.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Boolean(bool),
    List(Vec<Value>),
    /// Any other TOML value, by the name of its type.
    Other(&'static str),
    /// The text of an environment variable, to be read as the key's type.
    Variable(String),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// All given values, and the errors found so far.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) values: BTreeMap<&'static str, Entry>,
    pub(super) organisation_types: BTreeMap<String, Entry>,
    pub(super) errors: Vec<SettingError>,
    /// The file could not be read whole, so what is missing says nothing.
    pub(super) incomplete: bool,
    /// The section that is read has an error.
    pub(super) failed: bool,
}

impl Source {
    pub(super) fn gather(file: &Path, environment: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut source = Self {
            file: file.to_owned(),
            values: BTreeMap::new(),
            organisation_types: BTreeMap::new(),
            errors: Vec::new(),
            incomplete: false,
            failed: false,
        };
        let parsed =
            read_file(file).and_then(|text| parse_toml(&text, file, |table| source.table(table, "", &text)));
        match parsed {
            // The parser passes keys by name; people read a file by line.
            Ok(()) => source.errors.sort_by_key(SettingError::line),
            Err(errors) => {
                source.incomplete = true;
                source.errors.extend(errors);
            }
        }
        // Messages have an order, which the environment has not.
        let mut variables: Vec<_> = environment.collect();
        variables.sort();
        for (name, value) in variables {
            source.variable(&name.to_string_lossy(), value);
        }
        source
    }

    fn at(&self, text: &str, offset: usize) -> Origin {
        Origin::File { path: self.file.clone(), line: Some(line(text, offset)) }
    }

    fn table(&mut self, table: &DeTable<'_>, prefix: &str, text: &str) {
        for (name, value) in table {
            let path = joined(prefix, name.get_ref());
            let origin = self.at(text, name.span().start);
            let inner = value.get_ref();
            match (keys::find(&path), inner) {
                (Some(key), DeValue::Table(entries)) if key.kind == Kind::Table => {
                    for (name, value) in entries {
                        let origin = self.at(text, name.span().start);
                        let entry = Entry { value: plain(value.get_ref()), origin };
                        self.organisation_types.insert(name.get_ref().to_string(), entry);
                    }
                }
                (Some(key), _) => {
                    self.values.insert(key.path, Entry { value: plain(inner), origin });
                }
                (None, DeValue::Table(inner)) if keys::is_section(&path) || !inner.is_empty() => {
                    self.table(inner, &path, text);
                }
                (None, _) if keys::is_section(&path) => {
                    let reason = format!("is {}, but it is a section", plain(inner).type_name());
                    let help = format!("write its keys under [{path}]");
                    self.errors.push(SettingError::new(origin, path, (reason, help)));
                }
                (None, _) => {
                    let wrong = ("is no key of the configuration", suggestion(&path));
                    self.errors.push(SettingError::new(origin, path, wrong));
                }
            }
        }
    }

    fn variable(&mut self, name: &str, value: OsString) {
        let Some(bare) = name.strip_prefix(PREFIX) else { return };
        let origin = Origin::Variable(escaped(name));
        let table = &keys::ORGANISATION_TYPES;
        let key = keys::ALL.iter().find(|key| key.variable() == name);
        let claimed = name.strip_prefix(&format!("{}__", table.variable())).filter(|name| !name.is_empty());
        let path = match (key, claimed) {
            (Some(key), _) => key.path.to_owned(),
            (None, Some(claimed)) => joined(table.path, claimed),
            (None, None) => {
                let reason = "names no key of the configuration".to_owned();
                let help = similar_variable(bare);
                return self.errors.push(SettingError { origin, key: None, reason, help });
            }
        };
        let mut error = |wrong: (&str, &str)| {
            self.errors.push(SettingError::new(origin.clone(), path.as_str(), wrong));
        };
        let Ok(mut text) = value.into_string() else {
            return error(("is not UTF-8", "give it a value in UTF-8, or unset it"));
        };
        if let Some(inner) = unquoted(&text) {
            error(QUOTED);
            if inner.is_empty() {
                return;
            }
            // Continues with what was meant, for the errors of that.
            text = inner.to_owned();
        }
        let entry = Entry { value: Value::Variable(text), origin: origin.clone() };
        match key {
            Some(key) if key.kind == Kind::Table => {
                let help = format!("name the claim's value: {}__8=JobCenter", key.variable());
                error(("is a table and cannot be set as a whole", &help));
            }
            Some(key) => drop(self.values.insert(key.path, entry)),
            None => drop(self.organisation_types.insert(claimed.unwrap_or_default().to_owned(), entry)),
        }
    }
}

impl Value {
    /// The type with its article, as a sentence wants it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Variable(_) => "a string",
            Self::Number(_) => "a whole number",
            Self::Boolean(_) => "a boolean",
            Self::List(_) => "a list",
            Self::Other(name) => name,
        }
    }
}

pub(super) fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number beyond 64 bits"), Value::Number),
        DeValue::Boolean(truth) => Value::Boolean(*truth),
        DeValue::Array(items) => Value::List(items.iter().map(|item| plain(item.get_ref())).collect()),
        DeValue::Float(_) => Value::Other("a number with a fraction"),
        DeValue::Datetime(_) => Value::Other("a date or time"),
        DeValue::Table(_) => Value::Other("a table"),
    }
}

/// Help for an unknown variable. Compared as a key's path, since the prefix would make any two look near.
fn similar_variable(bare: &str) -> String {
    let near = nearest(&bare.replace("__", "."), keys::ALL.iter().map(|key| key.path));
    match near.and_then(keys::find) {
        Some(key) => format!("did you mean {}?", key.variable()),
        None => format!("unset it; every variable that begins with {PREFIX} must be a key"),
    }
}

fn escaped(name: &str) -> String {
    let quoted = shown(name);
    if quoted.len() == name.len() + 2 { name.to_owned() } else { quoted }
}

fn suggestion(path: &str) -> String {
    let name = path.rsplit('.').next().unwrap_or(path);
    let near = nearest(path, keys::ALL.iter().map(|key| key.path))
        .or_else(|| keys::ALL.iter().find(|key| key.name() == name).map(|key| key.path));
    match near {
        Some(key) => format!("did you mean {key}?"),
        None => "remove it; config/virksomhedslogin.toml lists every key".to_owned(),
    }
}
