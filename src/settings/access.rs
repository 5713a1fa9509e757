//! The access table's file: TOML → [`AccessTable`], or every error in it.
//!
//! Promises: what the file does not name is denied, and a file that names something unknown is not used at all, since it
//! is not known whom it was meant to allow. An empty list denies.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::{Origin, SettingError};
use super::source::{Value, plain};
use super::text::{did_you_mean, joined, shown};
use super::toml_file::{line, parse_toml, read_file};
use crate::domain::access::{AccessMode, AccessModes, AccessTable, Method, OrganisationType};

/// The table as shipped, for `dev` and the tests.
pub(crate) const SHIPPED: &str = include_str!("../../config/access.toml");

/// The only version of the file's form so far.
const VERSION: i64 = 1;

/// Reads the table from a file.
pub(crate) fn read_table(file: &Path) -> Result<AccessTable, Vec<SettingError>> {
    parse_table(&read_file(file)?, file)
}

/// Reads the table from a text; `file` only names it in messages.
pub(crate) fn parse_table(text: &str, file: &Path) -> Result<AccessTable, Vec<SettingError>> {
    let mut reader = Reader { file, access_table: AccessTable::deny_all(), errors: Vec::new() };
    parse_toml(text, file, |table| reader.table(table, text))?;
    reader.errors.sort_by_key(SettingError::line);
    if reader.errors.is_empty() { Ok(reader.access_table) } else { Err(reader.errors) }
}

struct Reader<'a> {
    file: &'a Path,
    access_table: AccessTable,
    errors: Vec<SettingError>,
}

impl Reader<'_> {
    fn error(&mut self, line: Option<usize>, key: &str, reason: impl Into<String>, help: impl Into<String>) {
        let origin = Origin::File { path: self.file.to_owned(), line };
        self.errors.push(SettingError::new(origin, key, (reason, help)));
    }

    fn table(&mut self, table: &DeTable<'_>, text: &str) {
        if !table.contains_key("version") {
            self.error(None, "version", "is missing", format!("begin the file with version = {VERSION}"));
        }
        for (name, value) in table {
            let line = Some(line(text, name.span().start));
            let key = joined("", name.get_ref());
            match (name.get_ref().as_ref(), name.get_ref().parse().ok(), value.get_ref()) {
                ("version", _, value) => self.version(line, value),
                (_, Some(method), DeValue::Table(rows)) => self.rows(method, rows, text),
                (_, Some(_), _) => {
                    self.error(line, &key, "is not a table", format!("write its rows under [{key}]"));
                }
                (given, None, _) => {
                    let help = did_you_mean(given, Method::ALL.map(Method::name));
                    self.error(line, &key, "is no method", help);
                }
            }
        }
    }

    fn version(&mut self, line: Option<usize>, value: &DeValue<'_>) {
        let reason = match plain(value) {
            Value::Number(VERSION) => return,
            Value::Number(number) => format!("{number} is not known to this program"),
            Value::Text(text) => format!("{} is not a whole number", shown(&text)),
            _ => "is not a whole number".to_owned(),
        };
        self.error(line, "version", reason, format!("write version = {VERSION}"));
    }

    fn rows(&mut self, method: Method, rows: &DeTable<'_>, text: &str) {
        for (name, value) in rows {
            let line = Some(line(text, name.span().start));
            let key = joined(method.name(), name.get_ref());
            let organisation = name.get_ref().parse().ok();
            if organisation.is_none() {
                let help = did_you_mean(name.get_ref(), OrganisationType::ALL.map(OrganisationType::name));
                self.error(line, &key, "is no organisation type", help);
            }
            let modes = self.modes(line, &key, value.get_ref());
            if let Some(organisation) = organisation {
                self.access_table.set(method, organisation, modes);
            }
        }
    }

    fn modes(&mut self, line: Option<usize>, key: &str, value: &DeValue<'_>) -> AccessModes {
        let Some(items) = value.as_array() else {
            self.error(line, key, "is not a list", "write a list of access modes: [\"AlleBorgere\"]");
            return AccessModes::NONE;
        };
        let mut modes = AccessModes::NONE;
        for item in items.iter() {
            let Some(given) = item.get_ref().as_str() else {
                self.error(line, key, "an entry is not a string", "put every access mode in quotes");
                continue;
            };
            match given.parse().ok() {
                Some(mode) if modes.contains(mode) => {
                    self.error(line, key, format!("{} occurs twice", shown(given)), "name it once");
                }
                Some(mode) => modes = modes.with(mode),
                None => {
                    let help = did_you_mean(given, AccessMode::ALL.map(AccessMode::name));
                    self.error(line, key, format!("{} is no access mode", shown(given)), help);
                }
            }
        }
        modes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(access_table: &AccessTable) -> Vec<String> {
        let everything: AccessModes = AccessMode::ALL.into_iter().collect();
        let mut rows = Vec::new();
        for method in Method::ALL {
            for organisation in OrganisationType::ALL {
                for mode in everything
                    .iter()
                    .filter(|mode| access_table.allowed(method, organisation).contains(*mode))
                {
                    rows.push(format!("{method} {organisation} {mode}"));
                }
            }
        }
        rows
    }

    #[test]
    fn the_shipped_table_is_the_contracts() {
        let access_table = parse_table(SHIPPED, Path::new("access.toml")).unwrap();
        assert_eq!(
            allowed(&access_table),
            [
                "GetLogin A-kasse AlleBorgere",
                "GetLogin JobCenter AlleBorgere",
                "GetLogin JobCenter EgneBorgere",
                "GetLogin JobCenter TidligereEgneBorgere",
                "GetLogin STAR AlleBorgere",
                "SetLogin STAR AlleBorgere",
                "GetLogins A-kasse AlleBorgere",
                "GetLogins JobCenter AlleBorgere",
                "GetLogins JobCenter EgneBorgere",
                "GetLogins STAR AlleBorgere",
            ]
        );
    }

    #[test]
    fn empty_list_denies_and_is_no_error() {
        let access_table = parse_table("version = 1\n[GetLogin]\nSTAR = []\n", Path::new("a")).unwrap();
        assert_eq!(access_table, AccessTable::deny_all());
    }

    #[test]
    fn a_table_without_methods_denies_everything() {
        assert_eq!(parse_table("version = 1", Path::new("a")).unwrap(), AccessTable::deny_all());
    }
}
