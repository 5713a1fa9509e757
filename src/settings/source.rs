//! Gathers the values of one configuration file and the environment, each with where it came from.
//!
//! Names are judged here (unknown keys and variables), values are not: see [`super::read`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::error::{Origin, SettingError, nearest, shown};
use super::keys;
use super::keys::{Key, Kind, PREFIX};
use super::read::{QUOTED, unquoted};
use crate::files;

/// No file of ours is larger than this; a device file must not fill the memory.
const MAX_FILE: u64 = 4 * 1024 * 1024;

/// A value before anybody asked what type it should have.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A TOML string.
    Text(String),
    /// A TOML integer that fits.
    Number(i64),
    /// A TOML boolean.
    Boolean(bool),
    /// A TOML list.
    List(Vec<Value>),
    /// Any other TOML value, by the name of its type.
    Other(&'static str),
    /// The text of an environment variable, to be read as the key's type.
    Variable(String),
}

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// All values given, and the faults found so far.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) file: PathBuf,
    pub(super) values: BTreeMap<&'static str, Entry>,
    pub(super) organisation_types: BTreeMap<String, Entry>,
    pub(super) faults: Vec<SettingError>,
    /// The file could not be read whole, so what is missing says nothing.
    pub(super) incomplete: bool,
}

impl Source {
    pub(super) fn gather(file: &Path, environment: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut source = Self {
            file: file.to_owned(),
            values: BTreeMap::new(),
            organisation_types: BTreeMap::new(),
            faults: Vec::new(),
            incomplete: false,
        };
        match read_toml(file, |table, text| source.table(table, "", text)) {
            // The parser hands keys over by name; people read a file by line.
            Ok(()) => source.faults.sort_by_key(SettingError::line),
            Err(faults) => {
                source.incomplete = true;
                source.faults.extend(faults);
            }
        }
        // The environment has no order of its own; messages should.
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
                    self.mapping(entries, text);
                }
                (Some(key), _) => {
                    self.values.insert(key.path, Entry { value: plain(inner), origin });
                }
                (None, DeValue::Table(inner)) if keys::is_section(&path) || !inner.is_empty() => {
                    self.table(inner, &path, text);
                }
                (None, _) if keys::is_section(&path) => self.faults.push(SettingError {
                    origin,
                    reason: format!("is {}, but it is a section", plain(inner).type_name()),
                    help: format!("write its keys under [{path}]"),
                    key: Some(path),
                }),
                (None, _) => self.faults.push(SettingError {
                    origin,
                    reason: "is no key of the configuration".to_owned(),
                    help: suggestion(&path),
                    key: Some(path),
                }),
            }
        }
    }

    fn mapping(&mut self, entries: &DeTable<'_>, text: &str) {
        for (name, value) in entries {
            let entry = Entry { value: plain(value.get_ref()), origin: self.at(text, name.span().start) };
            self.organisation_types.insert(name.get_ref().to_string(), entry);
        }
    }

    fn variable(&mut self, name: &str, value: OsString) {
        if !name.starts_with(PREFIX) {
            return;
        }
        let origin = Origin::Variable(escaped(name));
        let key = keys::ALL.iter().find(|key| key.variable() == name);
        let mapped = name.strip_prefix(&format!("{}__", keys::ORGANISATION_TYPES.variable()));
        let fault = |key: Option<&Key>, reason: &str, help: String| SettingError {
            origin: origin.clone(),
            key: key.map(|key| key.path.to_owned()),
            reason: reason.to_owned(),
            help,
        };
        if key.is_none() && mapped.is_none_or(str::is_empty) {
            let names: Vec<String> = keys::ALL.iter().map(Key::variable).collect();
            // Compared without the prefix: what all have in common would make anything look near.
            let help = nearest(without_prefix(name), names.iter().map(|name| without_prefix(name)))
                .map_or_else(
                    || format!("unset it; every variable that begins with {PREFIX} must be a key"),
                    |name| format!("did you mean {PREFIX}{name}?"),
                );
            self.faults.push(fault(None, "names no key of the configuration", help));
            return;
        }
        let Ok(mut text) = value.into_string() else {
            self.faults.push(fault(key, "is not UTF-8", "give it a value in UTF-8, or unset it".to_owned()));
            return;
        };
        if let Some(inner) = unquoted(&text) {
            let (reason, help) = QUOTED;
            let name = key.map_or(keys::ORGANISATION_TYPES.path, |key| key.path).to_owned();
            let name = if key.is_none() { joined(&name, mapped.unwrap_or_default()) } else { name };
            let fault = SettingError { key: Some(name), ..fault(None, reason, help.to_owned()) };
            // Read on with what was meant, for the faults of that.
            text = if inner.is_empty() { return self.faults.push(fault) } else { inner.to_owned() };
            self.faults.push(fault);
        }
        let entry = Entry { value: Value::Variable(text), origin: origin.clone() };
        match (key, mapped) {
            (Some(key), _) if key.kind == Kind::Table => {
                let help = format!("name the claim's value: {}__8=JobCenter", key.variable());
                self.faults.push(fault(Some(key), "is a table and cannot be set as a whole", help));
            }
            (Some(key), _) => {
                self.values.insert(key.path, entry);
            }
            (None, mapped) => {
                self.organisation_types.insert(mapped.unwrap_or_default().to_owned(), entry);
            }
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

fn plain(value: &DeValue<'_>) -> Value {
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

/// The name of a key within a section, quoted when it could be mistaken for a path of several.
pub(super) fn joined(prefix: &str, name: &str) -> String {
    let bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let name = if bare { name.to_owned() } else { shown(name) };
    if prefix.is_empty() { name } else { format!("{prefix}.{name}") }
}

fn without_prefix(variable: &str) -> &str {
    variable.strip_prefix(PREFIX).unwrap_or(variable)
}

fn escaped(name: &str) -> String {
    let quoted = shown(name);
    if quoted.len() == name.len() + 2 { name.to_owned() } else { quoted }
}

fn suggestion(path: &str) -> String {
    let name = path.rsplit('.').next().unwrap_or(path);
    nearest(path, keys::ALL.iter().map(|key| key.path))
        .or_else(|| keys::ALL.iter().find(|key| key.name() == name).map(|key| key.path))
        .map_or_else(
            || "remove it; config/virksomhedslogin.toml lists every key".to_owned(),
            |key| format!("did you mean {key}?"),
        )
}

/// The line that the byte at `offset` stands in, counted from 1.
pub(super) fn line(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// Reads a TOML file and hands over its table with the text (for lines), or every syntax error.
pub(super) fn read_toml(
    file: &Path,
    visit: impl FnOnce(&DeTable<'_>, &str),
) -> Result<(), Vec<SettingError>> {
    let text = read_text(file).map_err(|(reason, help)| {
        let origin = Origin::File { path: file.to_owned(), line: None };
        vec![SettingError { origin, key: None, reason, help }]
    })?;
    parse_toml(&text, file, visit)
}

/// As [`read_toml`], of a text already read; `file` only names it in messages.
pub(super) fn parse_toml(
    text: &str,
    file: &Path,
    visit: impl FnOnce(&DeTable<'_>, &str),
) -> Result<(), Vec<SettingError>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    // One slip can make the parser stumble several times in the same line: the first tells it best.
    let mut faults: Vec<SettingError> = Vec::new();
    for error in errors {
        let origin = Origin::File {
            path: file.to_owned(),
            line: Some(error.span().map_or(1, |span| line(text, span.start))),
        };
        if faults.iter().all(|fault| fault.origin != origin) {
            let (reason, help) = syntax(&error, text);
            faults.push(SettingError { origin, key: None, reason, help });
        }
    }
    faults.sort_by_key(SettingError::line);
    if faults.is_empty() {
        visit(table.get_ref(), text);
        Ok(())
    } else {
        Err(faults)
    }
}

/// What the parser stumbled over, and how to mend it. The text itself may hold a secret: only the name of a key
/// that stands twice is repeated.
fn syntax(error: &toml::de::Error, text: &str) -> (String, String) {
    let name = error.span().and_then(|span| text.get(span));
    match (error.message(), name) {
        ("duplicate key", Some(name)) => {
            (format!("{} stands twice", shown(name)), "write it once".to_owned())
        }
        (message, _) => (
            format!("is not TOML: {}", message.replace('\n', ", ")),
            "mend the syntax; every string stands in quotes".to_owned(),
        ),
    }
}

/// The whole text of a file, or the reason why not and how to mend it.
pub(super) fn read_text(file: &Path) -> Result<String, (String, String)> {
    let readable = || "name a file that this user may read".to_owned();
    let cannot = |error: std::io::Error| (format!("cannot be read: {error}"), readable());
    let mut bytes = Vec::new();
    files::open(file).map_err(cannot)?.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err((format!("is larger than {} MiB", MAX_FILE / 1024 / 1024), readable()));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|b| **b == b'\n').count()
                + 1;
        (format!("is not UTF-8 (line {line})"), "save it as UTF-8".to_owned())
    })
}
