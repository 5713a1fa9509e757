//! Which language a reader is written to in: Danish, unless the address or the browser asks for English.

use actix_web::http::header::{self, HeaderMap};
use url::form_urlencoded;

use crate::api::request::MAX_ITEMS;
use crate::api::spec::Text;

/// The query parameter of the visible switch.
pub(crate) const PARAMETER: &str = "sprog";

/// A language of the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// Dansk.
    Danish,
    /// English.
    English,
}

impl Language {
    /// Every language, the contract's own first.
    pub(crate) const ALL: [Self; 2] = [Self::Danish, Self::English];

    /// Its tag (RFC 5646).
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::Danish => "da",
            Self::English => "en",
        }
    }

    /// What it calls itself.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Danish => "Dansk",
            Self::English => "English",
        }
    }

    /// The text in this language.
    pub(crate) const fn of(self, text: Text) -> &'static str {
        match self {
            Self::Danish => text.da,
            Self::English => text.en,
        }
    }

    fn parse(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// The one that the switch chose, else the one that `Accept-Language` weighs highest (RFC 9110 §12.5.4), else Danish.
    pub(crate) fn wanted(query: &str, headers: &HeaderMap) -> Self {
        let chosen = form_urlencoded::parse(query.as_bytes())
            .take(MAX_ITEMS)
            .find(|(name, _)| name == PARAMETER)
            .and_then(|(_, value)| Self::parse(&value));
        chosen.or_else(|| preferred(headers)).unwrap_or(Self::Danish)
    }
}

/// The language of ours that is weighed highest; among equals the one that is named first. Only the first [`MAX_ITEMS`] are
/// read.
fn preferred(headers: &HeaderMap) -> Option<Language> {
    let mut best: Option<(f32, Language)> = None;
    let lines = headers.get_all(header::ACCEPT_LANGUAGE).filter_map(|value| value.to_str().ok());
    for item in lines.flat_map(|line| line.split(',')).take(MAX_ITEMS) {
        let (range, parameter) = item.split_once(';').unwrap_or((item, "q=1"));
        let primary = range.trim().split('-').next().unwrap_or_default();
        let weight: Option<f32> = parameter.trim().strip_prefix("q=").and_then(|value| value.parse().ok());
        let weight = weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0);
        if let Some(language) = Language::parse(primary)
            && weight > best.map_or(0.0, |(highest, _)| highest)
        {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    fn wanted(query: &str, accepted: &str) -> &'static str {
        let mut headers = HeaderMap::new();
        headers.append(header::ACCEPT_LANGUAGE, HeaderValue::from_str(accepted).unwrap());
        Language::wanted(query, &headers).tag()
    }

    #[test]
    fn the_browsers_wish_decides() {
        for accepted in ["en", "EN-gb", "en-US,en;q=0.9,da;q=0.8", "de, en;q=0.5", "da;q=0, en;q=0.001"] {
            assert_eq!(wanted("", accepted), "en", "{accepted}");
        }
        for accepted in [
            "",
            "da",
            "da-DK, en;q=0.8",
            "de",
            "*",
            "en;q=0",
            "en;q=x",
            "en;q=2",
            "english",
            "da;q=0.5, en;q=0.5",
        ] {
            assert_eq!(wanted("", accepted), "da", "{accepted}");
        }
    }

    #[test]
    fn languages_behind_the_most_are_not_read() {
        assert_eq!(wanted("", &format!("{}en", "x,".repeat(MAX_ITEMS - 1))), "en");
        assert_eq!(wanted("", &format!("{}en", "x,".repeat(MAX_ITEMS))), "da");
        assert_eq!(wanted(&format!("{}sprog=en", "x&".repeat(MAX_ITEMS)), ""), "da");
    }

    #[test]
    fn the_switch_goes_before_the_browser() {
        assert_eq!(wanted("sprog=en", "da"), "en");
        assert_eq!(wanted("sprog=da", "en"), "da");
        assert_eq!(wanted("x=1&sprog=en&sprog=da", "da"), "en");
        assert_eq!(wanted("sprog=de", "en"), "en");
        assert_eq!(wanted("Sprog=en", "da"), "da");
    }

    #[test]
    fn without_a_wish_it_is_danish() {
        assert_eq!(Language::wanted("", &HeaderMap::new()), Language::Danish);
    }
}
