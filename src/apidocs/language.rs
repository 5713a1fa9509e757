//! The language of the page: Danish, unless the address or the browser asks for English.

use actix_web::HttpRequest;
use actix_web::http::header::{AcceptLanguage, Header, LanguageTag, Preference};
use url::form_urlencoded;

use crate::api::request::MAX_ITEMS;
use crate::api::spec::Text;

/// The query parameter of the visible switch.
pub(super) const PARAMETER: &str = "sprog";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    Danish,
    English,
}

impl Language {
    /// The contract's own first.
    pub(super) const ALL: [Self; 2] = [Self::Danish, Self::English];

    /// Its tag (RFC 5646).
    pub(super) const fn tag(self) -> &'static str {
        self.say("da", "en")
    }

    /// What it calls itself.
    pub(super) const fn name(self) -> &'static str {
        self.say("Dansk", "English")
    }

    /// The text in this language.
    pub(super) const fn of(self, text: Text) -> &'static str {
        self.say(text.da, text.en)
    }

    pub(super) const fn say(self, danish: &'static str, english: &'static str) -> &'static str {
        match self {
            Self::Danish => danish,
            Self::English => english,
        }
    }

    fn parse(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(tag))
    }

    /// The one that the switch chose, else the one that `Accept-Language` weighs highest (RFC 9110 §12.5.4), else Danish.
    pub(super) fn wanted(request: &HttpRequest) -> Self {
        let mut parameters = form_urlencoded::parse(request.query_string().as_bytes()).take(MAX_ITEMS);
        let chosen =
            parameters.find(|(name, _)| name == PARAMETER).and_then(|(_, value)| Self::parse(&value));
        let ours = |range: Preference<LanguageTag>| Self::parse(range.item()?.primary_language());
        let preferred = || {
            let mut accepted = AcceptLanguage::parse(request).ok()?;
            accepted.truncate(MAX_ITEMS);
            accepted.retain(|range| ours(range.item.clone()).is_some());
            ours(accepted.preference())
        };
        chosen.or_else(preferred).unwrap_or(Self::Danish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header;
    use actix_web::test::TestRequest;

    fn wanted(query: &str, accepted: &str) -> &'static str {
        let request = TestRequest::with_uri(&format!("/?{query}"));
        Language::wanted(&request.insert_header((header::ACCEPT_LANGUAGE, accepted)).to_http_request()).tag()
    }

    #[test]
    fn highest_weight_of_the_browser_decides() {
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
    fn items_beyond_the_limit_are_not_read() {
        assert_eq!(wanted("", &format!("{}en", "de,".repeat(MAX_ITEMS - 1))), "en");
        assert_eq!(wanted("", &format!("{}en", "de,".repeat(MAX_ITEMS))), "da");
        assert_eq!(wanted(&format!("{}sprog=en", "x&".repeat(MAX_ITEMS)), ""), "da");
    }

    #[test]
    fn switch_overrides_the_browser() {
        assert_eq!(wanted("sprog=en", "da"), "en");
        assert_eq!(wanted("sprog=da", "en"), "da");
        assert_eq!(wanted("x=1&sprog=en&sprog=da", "da"), "en");
        assert_eq!(wanted("sprog=de", "en"), "en");
        assert_eq!(wanted("Sprog=en", "da"), "da");
    }

    #[test]
    fn default_is_danish() {
        assert_eq!(Language::wanted(&TestRequest::get().to_http_request()), Language::Danish);
    }
}
