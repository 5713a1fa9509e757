//! Texts of the configuration: what none may be, how a message shows one, and which name was probably meant.

use super::error::Wrong;

/// Characters of a wrong value that a message repeats.
const SHOWN: usize = 80;

/// Maximum bytes of a name that is compared with ours; a longer one is no misspelling and would only cost time.
const MAX_COMPARED: usize = 120;

/// Reason and help for a value in quotes: Docker's `--env-file` keeps them, and they are never meant.
pub(super) const QUOTED: (&str, &str) = (
    "is in quotes, which are a part of the value",
    "remove them: an --env-file and a mounted secret are taken as they are",
);

/// Rejects a text that is empty or has an invisible error.
pub(super) fn check_text(text: &str) -> Result<(), Wrong> {
    let (reason, help) = if text.is_empty() {
        ("is empty", "give it a value, or leave it out")
    } else if text.trim() != text {
        ("begins or ends with white space", "remove the white space")
    } else if text.chars().any(char::is_control) {
        ("has a control character in it", "remove the control character")
    } else if unquoted(text).is_some() {
        QUOTED
    } else {
        return Ok(());
    };
    Err((reason.to_owned(), help.to_owned()))
}

/// The text between quotes that are its first and its last character.
pub(super) fn unquoted(text: &str) -> Option<&str> {
    ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

/// A value in a message: quoted, control characters escaped, cut after 80 characters.
pub(super) fn shown(value: &str) -> String {
    match value.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &value[..end]),
        None => format!("{value:?}"),
    }
}

/// The name of a key within a section, quoted when it could be mistaken for a path of several.
pub(super) fn joined(prefix: &str, name: &str) -> String {
    let bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let name = if bare { name.to_owned() } else { shown(name) };
    if prefix.is_empty() { name } else { format!("{prefix}.{name}") }
}

/// The candidate that was probably meant: nearest in spelling, letter case aside, and at most 1 to 3 letters different.
pub(crate) fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if given.len() > MAX_COMPARED {
        return None;
    }
    let given = given.to_lowercase();
    let bound = (given.chars().count() / 4).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::levenshtein(&given, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?` when a name is near, else all of them.
pub(super) fn did_you_mean<'a>(given: &str, names: impl IntoIterator<Item = &'a str> + Clone) -> String {
    match nearest(given, names.clone()) {
        Some(name) => format!("did you mean {name}?"),
        None => format!("use {}", names.into_iter().collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelling_is_recognised_and_another_word_is_not() {
        assert_eq!(nearest("jobcenter", ["A-kasse", "JobCenter"]), Some("JobCenter"));
        assert_eq!(nearest("Kommune", ["A-kasse", "JobCenter"]), None);
    }

    #[test]
    fn value_is_shown_on_one_line_and_cut() {
        assert_eq!(shown("a\nb\u{2028}\u{85}\u{7f}"), r#""a\nb\u{2028}\u{85}\u{7f}""#);
        assert_eq!(shown(&"æ".repeat(200)).chars().count(), SHOWN + 3);
    }
}
