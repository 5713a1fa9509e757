//! The name of a state of the list, which readers keep as its entity tag.

use std::fmt;
use std::str::FromStr;

/// What a state of the list holds, and its place in the history of the store.
///
/// Two versions are of the same records exactly when their contents are equal. The place shows what changed since; it may
/// differ between two versions of the same records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    content: String,
    place: Option<Place>,
}

/// A point in the history of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Which history: places of another one say nothing here.
    pub(super) history: u64,
    /// Later points of a history have higher numbers.
    pub(super) position: u64,
}

/// The text names no state.
#[derive(Debug, PartialEq, Eq)]
pub struct ParseVersionError;

impl Version {
    /// A version of this content (without a full stop), at this place where it is known.
    pub(super) fn new(content: String, place: Option<Place>) -> Self {
        Self { content, place }
    }

    /// Whether both name the same records.
    pub fn is_same_content(&self, other: &Self) -> bool {
        self.content == other.content
    }

    /// Whether both name the same records in the same history.
    pub(super) fn is_same_state(&self, other: &Self) -> bool {
        let history = |version: &Self| version.place.map(|place| place.history);
        self.is_same_content(other) && history(self) == history(other)
    }

    pub(super) fn place(&self) -> Option<Place> {
        self.place
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.content)?;
        match self.place {
            Some(Place { history, position }) => write!(formatter, ".{history:x}.{position:x}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        let number = |text| u64::from_str_radix(text, 16).map_err(|_| ParseVersionError);
        let mut parts = text.split('.');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(content), None, ..) => Ok(Self::new(content.to_owned(), None)),
            (Some(content), Some(history), Some(position), None) => {
                let place = Place { history: number(history)?, position: number(position)? };
                Ok(Self::new(content.to_owned(), Some(place)))
            }
            _ => Err(ParseVersionError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_back() {
        for place in [None, Some(Place { history: u64::MAX, position: 0 })] {
            let version = Version::new("1-ff".to_owned(), place);
            assert_eq!(version.to_string().parse(), Ok(version));
        }
        for foreign in ["a.b", "a.x.1", "a.1.1.1", "a.1.11111111111111111"] {
            assert_eq!(foreign.parse::<Version>(), Err(ParseVersionError), "{foreign}");
        }
    }

    #[test]
    fn content_alone_decides_whether_the_records_are_the_same() {
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert!(version("a.1.2").is_same_content(&version("a.3.4")));
        assert!(!version("a.1.2").is_same_content(&version("b.1.2")));
    }
}
