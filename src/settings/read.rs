//! Reads one value as its key's type and range. Promises: every error is noted, and reading goes on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::{Origin, SettingError};
use super::keys::{Default, Key, Kind};
use super::source::{Source, Value};
use super::text::{check_text, nearest, shown};

/// An error was noted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reported;

impl Source {
    /// Notes an error of this key, where its value is or should have been.
    pub(super) fn error(
        &mut self,
        key: &Key,
        reason: impl Into<String>,
        help: impl Into<String>,
    ) -> Reported {
        let origin = self.values.get(key.path).map(|entry| entry.origin.clone());
        let origin = origin.unwrap_or_else(|| Origin::File { path: self.file.clone(), line: None });
        self.errors.push(SettingError {
            origin,
            key: Some(key.path.to_owned()),
            reason: reason.into(),
            help: help.into(),
        });
        Reported
    }

    pub(super) fn is_given(&self, key: &Key) -> bool {
        self.values.contains_key(key.path)
    }

    /// Notes that the key is missing, unless the file that may hold it could not be read.
    pub(super) fn missing(&mut self, key: &Key, reason: &str) -> Reported {
        if self.incomplete {
            return Reported;
        }
        let help = format!("set {} under [{}], or {}", key.name(), key.section(), key.variable());
        self.error(key, reason, help)
    }

    /// The given value, or the default.
    fn value(&self, key: &Key) -> Option<Value> {
        if let Some(entry) = self.values.get(key.path) {
            return Some(entry.value.clone());
        }
        match key.default {
            Default::Text(text) => Some(Value::Text(text.to_owned())),
            Default::Number(number) => Some(Value::Number(number)),
            Default::Boolean(value) => Some(Value::Boolean(value)),
            Default::List(items) => {
                Some(Value::List(items.iter().map(|item| Value::Text((*item).to_owned())).collect()))
            }
            Default::Cores => {
                let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
                Some(Value::Number(cores.clamp(1, 512) as i64))
            }
            Default::Mandatory | Default::Nothing | Default::EmptyTable => None,
        }
    }

    /// The text, or none when the key is neither given nor has a default.
    pub(super) fn text(&mut self, key: &Key) -> Result<Option<String>, Reported> {
        let text = match self.value(key) {
            Some(Value::Text(text) | Value::Variable(text)) => text,
            Some(other) => return Err(self.wrong_type(key, &other)),
            None => return Ok(None),
        };
        match check_text(&text) {
            Some((reason, help)) => Err(self.error(key, reason, help)),
            None => Ok(Some(text)),
        }
    }

    pub(super) fn mandatory(&mut self, key: &Key) -> Result<String, Reported> {
        match self.text(key)? {
            Some(text) => Ok(text),
            None => Err(self.missing(key, "is missing")),
        }
    }

    pub(super) fn choice(&mut self, key: &Key) -> Result<String, Reported> {
        let word = self.mandatory(key)?;
        match key.kind {
            Kind::OneOf(words) if !words.contains(&word.as_str()) => {
                let help = match nearest(&word, words.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => format!("use {}", words.join(" or ")),
                };
                Err(self.error(key, format!("{} is not known", shown(&word)), help))
            }
            _ => Ok(word),
        }
    }

    pub(super) fn path(&mut self, key: &Key) -> Result<Option<PathBuf>, Reported> {
        Ok(self.text(key)?.map(|text| self.resolved(&text)))
    }

    /// The path as seen from the configuration file's directory.
    pub(super) fn resolved(&self, path: &str) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(path)
    }

    pub(super) fn seconds(&mut self, key: &Key) -> Result<Duration, Reported> {
        self.number(key).map(Duration::from_secs)
    }

    pub(super) fn number(&mut self, key: &Key) -> Result<u64, Reported> {
        let Kind::Number { min, max } = key.kind else {
            return Err(self.error(key, "is not declared as a number", "report this as a bug"));
        };
        let number = match self.value(key) {
            Some(Value::Number(number)) => number,
            Some(Value::Variable(text)) => match text.parse() {
                Ok(number) => number,
                Err(_) => {
                    let reason = format!("{} is not a whole number", shown(&text));
                    return Err(self.error(key, reason, format!("use {min} to {max}")));
                }
            },
            Some(other) => return Err(self.wrong_type(key, &other)),
            None => return Err(self.missing(key, "is missing")),
        };
        match u64::try_from(number) {
            Ok(number) if (min..=max).contains(&number) => Ok(number),
            _ => Err(self.error(key, format!("{number} is out of range"), format!("use {min} to {max}"))),
        }
    }

    pub(super) fn boolean(&mut self, key: &Key) -> Result<bool, Reported> {
        match self.value(key) {
            Some(Value::Boolean(value)) => Ok(value),
            Some(Value::Variable(text)) => text.parse().map_err(|_| {
                self.error(key, format!("{} is neither true nor false", shown(&text)), "use true or false")
            }),
            Some(other) => Err(self.wrong_type(key, &other)),
            None => Err(self.missing(key, "is missing")),
        }
    }

    /// The list, with at least one entry and none twice; one text is a list of one where the key allows it.
    pub(super) fn list(&mut self, key: &Key) -> Result<Vec<String>, Reported> {
        self.list_of(key, check_text)
    }

    /// As [`Source::list`], with entries that this rule checks.
    pub(super) fn list_of(
        &mut self,
        key: &Key,
        check_text: fn(&str) -> Option<(&'static str, &'static str)>,
    ) -> Result<Vec<String>, Reported> {
        let items = match self.value(key) {
            Some(Value::List(items)) => items,
            Some(Value::Text(text)) if key.kind == Kind::TextOrList => vec![Value::Text(text)],
            Some(Value::Variable(text)) => {
                text.split(',').map(|item| Value::Text(item.trim().to_owned())).collect()
            }
            Some(other) => return Err(self.wrong_type(key, &other)),
            None => return Err(self.missing(key, "is missing")),
        };
        if items.is_empty() {
            return Err(self.error(key, "is an empty list", "name at least one"));
        }
        let before = self.errors.len();
        let mut texts: Vec<String> = Vec::new();
        for item in items {
            match item {
                Value::Text(text) if texts.contains(&text) => {
                    self.error(key, format!("{} occurs twice", shown(&text)), "name it once");
                }
                Value::Text(text) => match check_text(&text) {
                    Some((reason, help)) => {
                        self.error(key, format!("an entry {reason}"), help);
                    }
                    None => texts.push(text),
                },
                other => {
                    let reason = format!("an entry is {}, not a string", other.type_name());
                    self.error(key, reason, "put every entry in quotes");
                }
            }
        }
        if self.errors.len() == before { Ok(texts) } else { Err(Reported) }
    }

    /// Notes that the value is of another type than the key takes.
    pub(super) fn wrong_type(&mut self, key: &Key, value: &Value) -> Reported {
        let name = key.name();
        let (wanted, example) = match key.kind {
            Kind::Text | Kind::Path => ("a string", format!("put it in quotes: {name} = \"…\"")),
            Kind::TextOrList => {
                ("a string or a list of strings", format!("write {name} = \"…\" or [\"…\", \"…\"]"))
            }
            Kind::List => ("a list of strings", format!("write {name} = [\"…\", \"…\"]")),
            Kind::Number { min, max } => {
                ("a whole number", format!("write {name} = N, {min} to {max}, without quotes"))
            }
            Kind::Boolean => {
                ("true or false", format!("write {name} = true or {name} = false, without quotes"))
            }
            Kind::OneOf(words) => ("a string", format!("write {name} = \"{}\"", words.join("\" or \""))),
            Kind::Table => ("a table", format!("write its entries under [{}]", key.path)),
        };
        self.error(key, format!("is {}, not {wanted}", value.type_name()), example)
    }
}
