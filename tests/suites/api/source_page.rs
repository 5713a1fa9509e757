//! The tables of our page beside those of the contract's page, cell by cell. Every row that differs is listed here with
//! the reason why it is meant to; one that differs in any other way, or no longer differs, fails.

use crate::suites::api::harness::spawn_app;

const SOURCE: &str = include_str!("../../fixtures/source-page.txt");
const METHODS: [&str; 3] = ["GetLogin", "SetLogin", "GetLogins"];
const SECTIONS: [&str; 5] = ["Tilladte organisationer", "Scope", "Input", "Output", "Fejlkoder"];

const CORNER: &str = "the empty cell over the row's names stands first, where the rows have them";
const EMPTY_CELLS: &str = "the page reached us with empty cells dropped; here every cell is present";
const LEVEL: &str =
    "the page numbers the timestamps one level too deep in GetLogin; they are siblings of cvrNummer";
const PLACEHOLDER: &str = "the page has a placeholder where a later version of it has 120500";
const CANONICAL: &str =
    "the canonical path has a slash before the number; the printed form is named below the heading";

/// Where, what the contract's page has, what ours has, and why.
const INTENDED: [(&str, &str, &str, &str); 18] = [
    ("GetLogin, Tilladte organisationer", HEAD_THERE, HEAD_HERE, CORNER),
    ("GetLogin, Tilladte organisationer", "STAR|X", "STAR|X|||||||", EMPTY_CELLS),
    (
        "GetLogin, Output",
        "response|GetVirksomhedsLoginResponseDto|1||",
        "response|GetVirksomhedsLoginResponseDto||1|",
        EMPTY_CELLS,
    ),
    (
        "GetLogin, Output",
        "- VirksomhedsLoginDto|VirksomhedsLoginDto|1||",
        "- VirksomhedsLoginDto|VirksomhedsLoginDto||1|",
        EMPTY_CELLS,
    ),
    (
        "GetLogin, Output",
        "- - - tidligsteLoginTidspunkt|date-time|1|Første login tidspunkt for virksomheden|",
        "- - tidligsteLoginTidspunkt|date-time||1|Første login tidspunkt for virksomheden",
        LEVEL,
    ),
    (
        "GetLogin, Output",
        "- - - senesteLogintidspunkt|date-time|1|Seneste login fra Virksomhed",
        "- - senesteLogintidspunkt|date-time||1|Seneste login fra Virksomhed",
        LEVEL,
    ),
    (
        "GetLogin, Fejlkoder",
        "XxXxXxXx|Virksomheden blev ikke fundet.|Virksomheden blev ikke fundet.",
        "120500|Virksomheden blev ikke fundet.|Virksomheden blev ikke fundet.",
        PLACEHOLDER,
    ),
    ("SetLogin", "SetLogin(PUT/v1/Login{CvrNummer})", "SetLogin (PUT /v1/Login/{CvrNummer})", CANONICAL),
    ("SetLogin, Tilladte organisationer", HEAD_THERE, HEAD_HERE, CORNER),
    ("SetLogin, Tilladte organisationer", "STAR|X", "STAR|X|||||||", EMPTY_CELLS),
    (
        "SetLogin, Input",
        "request|SetVirksomhedsLoginRequestDto|1||",
        "request|SetVirksomhedsLoginRequestDto||1|",
        EMPTY_CELLS,
    ),
    (
        "SetLogin, Input",
        "- VirksomhedsLoginDto|SetVirksomhedsLoginDto|1||",
        "- VirksomhedsLoginDto|SetVirksomhedsLoginDto||1|",
        EMPTY_CELLS,
    ),
    ("GetLogins, Tilladte organisationer", HEAD_THERE, HEAD_HERE, CORNER),
    ("GetLogins, Tilladte organisationer", "STAR|X", "STAR|X|||||||", EMPTY_CELLS),
    (
        "GetLogins, Output",
        "response|GetVirksomhedsLoginResponseDtoCollection|1||",
        "response|GetVirksomhedsLoginResponseDtoCollection||1|",
        EMPTY_CELLS,
    ),
    (
        "GetLogins, Output",
        "- virksomheder|VirksomhedsLoginDtoCollection|1|Liste af virksomheder der er oprettet på JobAG|",
        "- virksomheder|VirksomhedsLoginDtoCollection||1|Liste af virksomheder der er oprettet på JobAG",
        EMPTY_CELLS,
    ),
    (
        "GetLogins, Output",
        "- - VirksomhedsLoginDto|VirksomhedsLoginDto|0 - *||",
        "- - VirksomhedsLoginDto|VirksomhedsLoginDto||0 - *|",
        EMPTY_CELLS,
    ),
    (
        "GetLogins, Output",
        "- - - tidligsteLoginTidspunkt|date-time|1|Første login tidspunkt for virksomheden|\n\
         - - - senesteLogintidspunkt|date-time|1|Seneste login fra Virksomhed",
        "- - - tidligsteLoginTidspunkt|date-time||1|Første login tidspunkt for virksomheden\n\
         - - - senesteLogintidspunkt|date-time||1|Seneste login fra Virksomhed",
        EMPTY_CELLS,
    ),
];

const HEAD_THERE: &str = "Alle borgere|Egne borgere|Tidligere egne borgere|Gæsteadgang|Anden Aktør - egne borgere|\
                          Anden Aktør - gæsteadgang|Anden Aktør - alle borgere|System - alle borgere|";
const HEAD_HERE: &str = "|Alle borgere|Egne borgere|Tidligere egne borgere|Gæsteadgang|Anden Aktør - egne borgere|\
                         Anden Aktør - gæsteadgang|Anden Aktør - alle borgere|System - alle borgere";

/// (where, the row's cells joined by `|`), in order.
type Rows = Vec<(String, String)>;

/// The rows of the contract's page. A cell ends at a bar, and a row may end with one.
fn theirs() -> Rows {
    let (mut method, mut section, mut rows) = ("", "", Vec::new());
    for line in SOURCE.lines().skip_while(|line| *line != "Metoder").skip(1) {
        if let Some(name) = METHODS
            .into_iter()
            .find(|name| line.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with('(')))
        {
            method = name;
            rows.push((method.to_owned(), line.to_owned()));
        } else if SECTIONS.contains(&line) {
            section = line;
        } else if !line.starts_with("---") {
            let line = line.strip_suffix('|').unwrap_or(line);
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            rows.push((format!("{method}, {section}"), cells.join("|")));
        }
    }
    rows
}

/// The text of a piece of HTML.
fn text(html: &str) -> String {
    let mut text = String::new();
    for piece in html.split('<') {
        text.push_str(piece.split_once('>').map_or(piece, |(_, after)| after));
    }
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&amp;", "&");
    text.trim().to_owned()
}

/// What stands between each such pair of tags.
fn all<'a>(html: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    html.split(open).skip(1).map(|rest| rest.split(close).next().unwrap()).collect()
}

/// The rows of our page.
fn ours(page: &str) -> Rows {
    let mut rows = Vec::new();
    for section in page.split("<section class=\"method\"").skip(1) {
        let heading = text(&format!("<{}", all(section, "<h3", "</h3>")[0]));
        let method = heading.split(' ').next().unwrap().to_owned();
        rows.push((method.clone(), heading));
        let contract = section.split("<div class=\"example\"").next().unwrap();
        for part in contract.split("<h4>").skip(1) {
            let (title, content) = part.split_once("</h4>").unwrap();
            let place = format!("{method}, {title}");
            if content.contains("<table") {
                for row in all(content, "<tr>", "</tr>") {
                    let cells = row.replace("<th", "\u{0}<th").replace("<td", "\u{0}<td");
                    let cells: Vec<String> = cells.split('\u{0}').skip(1).map(text).collect();
                    rows.push((place.clone(), cells.join("|")));
                }
            } else {
                rows.push((place, text(content)));
            }
        }
    }
    rows
}

#[test]
fn page_differs_from_the_source_page_only_as_intended() {
    let app = spawn_app();
    let page = app.as_anonymous().send("GET", "/", &[], None);
    let (theirs, ours) = (theirs(), ours(page.text()));
    let places = |rows: &Rows| rows.iter().map(|(place, _)| place.clone()).collect::<Vec<_>>();
    assert_eq!(places(&theirs), places(&ours), "the same rows in the same order");

    let mut intended: Vec<(&str, &str, &str)> = Vec::new();
    for (place, there, here, reason) in INTENDED {
        assert!(!reason.is_empty());
        intended.extend(there.lines().zip(here.lines()).map(|(there, here)| (place, there, here)));
    }
    let found: Vec<(&str, &str, &str)> = theirs
        .iter()
        .zip(&ours)
        .filter(|((_, there), (_, here))| there != here)
        .map(|((place, there), (_, here))| (place.as_str(), there.as_str(), here.as_str()))
        .collect();
    assert_eq!(found, intended);
}

#[test]
fn the_words_around_the_tables_are_the_contracts() {
    let app = spawn_app();
    let page = app.as_anonymous().send("GET", "/", &[], None);
    let page = page.text();
    let mut from = 0;
    for words in [SOURCE.lines().next().unwrap(), ">Metoder</h2>"] {
        let at = page[from..].find(words).unwrap_or_else(|| panic!("{words}"));
        from += at;
    }
}
