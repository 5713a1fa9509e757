//! Reads one value as its key's type and range.
//!
//! Promises: every error is noted, and reading goes on: what cannot be read is empty or zero, and its section is not used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{Origin, SettingError, Wrong};
use super::keys::{Default, Key, Kind};
use super::source::{Source, Value};
use super::text::{check_text, nearest, shown};
use super::toml_file::read_text;

impl Source {
    /// What is read from a section, unless that notes an error.
    pub(super) fn section<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.failed = false;
        let section = read(self);
        (!self.failed).then_some(section)
    }

    /// Notes an error of this key, where its value is or should have been.
    pub(super) fn error(&mut self, key: &Key, reason: impl Into<String>, help: impl Into<String>) {
        let origin = self.values.get(key.path).map(|entry| entry.origin.clone());
        let origin = origin.unwrap_or_else(|| Origin::File { path: self.file.clone(), line: None });
        self.errors.push(SettingError::new(origin, key.path, (reason, help)));
        self.failed = true;
    }

    /// The value, or its error is noted.
    pub(super) fn check<T>(&mut self, key: &Key, value: Result<T, Wrong>) -> Option<T> {
        value.map_err(|(reason, help)| self.error(key, reason, help)).ok()
    }

    pub(super) fn is_given(&self, key: &Key) -> bool {
        self.values.contains_key(key.path)
    }

    /// The value as its key's type, given or by default; nothing when an error was noted, or there is neither.
    fn value(&mut self, key: &Key) -> Option<Value> {
        let value = match (self.values.get(key.path), key.default) {
            (Some(entry), _) => entry.value.clone(),
            (None, Default::Is(text)) => Value::Variable(text.to_owned()),
            (None, Default::Cores) => {
                let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
                Value::Variable(cores.min(512).to_string())
            }
            (None, Default::Mandatory) => return self.missing(key, "is missing"),
            (None, Default::Nothing) => return None,
        };
        let typed = match (key.kind, value) {
            (Kind::OneOf(words), Value::Text(text) | Value::Variable(text))
                if !words.contains(&text.as_str()) =>
            {
                let help = match nearest(&text, words.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("use {}", words.join(" or ")),
                };
                Err((format!("{} is not known", shown(&text)), help))
            }
            (Kind::Text | Kind::OneOf(_), Value::Text(text) | Value::Variable(text)) => Ok(Value::Text(text)),
            (Kind::TextOrList, text @ Value::Text(_)) => Ok(Value::List(vec![text])),
            (Kind::List, Value::Variable(text)) if text.is_empty() && key.may_be_empty() => {
                Ok(Value::List(vec![]))
            }
            (Kind::TextOrList | Kind::List, Value::Variable(text)) => {
                Ok(Value::List(text.split(',').map(|item| Value::Text(item.trim().to_owned())).collect()))
            }
            (Kind::Number { min, max }, Value::Variable(text)) => {
                text.parse().map(Value::Number).map_err(|_| {
                    (format!("{} is not a whole number", shown(&text)), format!("use {min} to {max}"))
                })
            }
            (Kind::Boolean, Value::Variable(text)) => text.parse().map(Value::Boolean).map_err(|_| {
                (format!("{} is neither true nor false", shown(&text)), "use true or false".to_owned())
            }),
            (Kind::Number { .. }, value @ Value::Number(_))
            | (Kind::Boolean, value @ Value::Boolean(_))
            | (Kind::TextOrList | Kind::List, value @ Value::List(_)) => Ok(value),
            (_, other) => Err(wrong_type(key, &other)),
        };
        self.check(key, typed)
    }

    /// Notes that the key is missing, unless the file that may hold it could not be read.
    pub(super) fn missing<T>(&mut self, key: &Key, reason: &str) -> Option<T> {
        self.failed = true;
        if !self.incomplete {
            let help = format!("set {} under [{}], or {}", key.name(), key.section(), key.variable());
            self.error(key, reason, help);
        }
        None
    }

    /// The text, when the key is given or has a default.
    pub(super) fn text(&mut self, key: &Key) -> Option<String> {
        let Some(Value::Text(text)) = self.value(key) else { return None };
        let checked = check_text(&text).map(|()| text);
        self.check(key, checked)
    }

    pub(super) fn path(&mut self, key: &Key) -> Option<PathBuf> {
        self.text(key).map(|text| self.resolved(&text))
    }

    /// The path as seen from the configuration file's directory.
    pub(super) fn resolved(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    /// What `read` makes of the text of this key's file; an error names the file.
    pub(super) fn content<T>(
        &mut self,
        key: &Key,
        file: &Path,
        read: impl FnOnce(String) -> Result<T, Wrong>,
    ) -> Option<T> {
        let content = read_text(file).and_then(read);
        self.check(key, content.map_err(|(reason, help)| (format!("{} {reason}", file.display()), help)))
    }

    pub(super) fn seconds(&mut self, key: &Key) -> Duration {
        Duration::from_secs(self.number(key))
    }

    pub(super) fn number<T: TryFrom<i64> + std::default::Default>(&mut self, key: &Key) -> T {
        match (key.kind, self.value(key)) {
            (Kind::Number { min, max }, Some(Value::Number(number))) if !(min..=max).contains(&number) => {
                self.error(key, format!("{number} is out of range"), format!("use {min} to {max}"));
                T::default()
            }
            (_, Some(Value::Number(number))) => number.try_into().unwrap_or_default(),
            _ => T::default(),
        }
    }

    pub(super) fn boolean(&mut self, key: &Key) -> bool {
        matches!(self.value(key), Some(Value::Boolean(true)))
    }

    /// The list, with at least one entry unless it may be empty, and none twice, each checked; one text is a list of one where the key allows it.
    pub(super) fn list(&mut self, key: &Key, check: fn(&str) -> Result<(), Wrong>) -> Vec<String> {
        let Some(Value::List(items)) = self.value(key) else { return vec![] };
        if items.is_empty() && !key.may_be_empty() {
            self.error(key, "is an empty list", "name at least one");
        }
        let mut texts: Vec<String> = Vec::new();
        for item in items {
            let checked = match item {
                Value::Text(text) if texts.contains(&text) => {
                    Err((format!("{} occurs twice", shown(&text)), "name it once".to_owned()))
                }
                Value::Text(text) => match check(&text) {
                    Ok(()) => Ok(text),
                    Err((reason, help)) => Err((format!("an entry {reason}"), help)),
                },
                other => {
                    let reason = format!("an entry is {}, not a string", other.type_name());
                    Err((reason, "put every entry in quotes".to_owned()))
                }
            };
            texts.extend(self.check(key, checked));
        }
        texts
    }
}

/// Names the type that the key takes, and how a value of it is written.
pub(super) fn wrong_type(key: &Key, value: &Value) -> Wrong {
    let name = key.name();
    let (wanted, help) = match key.kind {
        Kind::Text => ("a string", format!("put it in quotes: {name} = \"…\"")),
        Kind::TextOrList => {
            ("a string or a list of strings", format!("write {name} = \"…\" or [\"…\", \"…\"]"))
        }
        Kind::List => ("a list of strings", format!("write {name} = [\"…\", \"…\"]")),
        Kind::Number { min, max } => {
            ("a whole number", format!("write {name} = N, {min} to {max}, without quotes"))
        }
        Kind::Boolean => ("true or false", format!("write {name} = true or {name} = false, without quotes")),
        Kind::OneOf(words) => ("a string", format!("write {name} = \"{}\"", words.join("\" or \""))),
        Kind::Table => ("a table", format!("write its entries under [{}]", key.path)),
    };
    (format!("is {}, not {wanted}", value.type_name()), help)
}
