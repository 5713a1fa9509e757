//! The page as text; `tests/api` asks for it as a browser does.

use super::*;
use crate::domain::access::{AccessMode, AccessModes, Method, OrganisationType};

fn page(access_table: &AccessTable, language: Language) -> String {
    render(access_table, language, "http://localhost:8080")
}

/// The tags of the page in order, with their slash when they close.
fn tags(page: &str) -> Vec<&str> {
    page.split('<').skip(1).map(|rest| rest.split(['>', ' ']).next().unwrap_or_default()).collect()
}

#[test]
fn every_tag_is_closed_in_order() {
    let page = page(&AccessTable::deny_all(), Language::Danish);
    let mut open = Vec::new();
    for tag in tags(&page) {
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if ["!DOCTYPE", "meta", "link"].contains(&tag) => {}
            None => open.push(tag),
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn every_id_is_unique_and_every_reference_resolves() {
    let mut access_table = AccessTable::deny_all();
    let modes: AccessModes = AccessMode::ALL.into_iter().collect();
    for method in Method::ALL {
        OrganisationType::ALL
            .into_iter()
            .for_each(|organisation| access_table.set(method, organisation, modes));
    }
    for language in Language::ALL {
        let page = page(&access_table, language);
        let values = |attribute: &str| -> Vec<String> {
            let begin = format!(" {attribute}=\"");
            let parts = page.split(&begin).skip(1);
            parts.map(|rest| rest.split('"').next().unwrap_or_default().to_owned()).collect()
        };
        let ids = values("id");
        for (index, id) in ids.iter().enumerate() {
            assert!(!ids[..index].contains(id), "{id} is repeated");
        }
        for reference in values("aria-labelledby") {
            assert!(ids.contains(&reference), "{reference}");
        }
        for reference in values("href").iter().filter_map(|href| href.strip_prefix('#')) {
            assert!(ids.iter().any(|id| id == reference), "{reference}");
        }
    }
}

#[test]
fn every_allowed_mode_and_every_empty_cell_is_there() {
    let mut access_table = AccessTable::deny_all();
    access_table.set(
        Method::GetLogins,
        OrganisationType::AKasse,
        AccessModes::NONE.with(AccessMode::Gaesteadgang),
    );
    let page = page(&access_table, Language::English);
    let row = "<th scope=\"row\">A-kasse</th><td></td><td></td><td></td><td>X</td><td></td><td></td><td></td><td></td>";
    assert_eq!(page.matches(row).count(), 1);
    assert_eq!(page.matches("<td>X</td>").count(), 1);
}

#[test]
fn every_error_of_every_method_is_listed() {
    let page = page(&AccessTable::deny_all(), Language::English);
    for endpoint in EndpointSpec::ALL {
        for kind in endpoint.faults() {
            let (status, code, _) = kind.row();
            let row = format!("<th scope=\"row\">{}</th><td>{code}</td>", status.as_u16());
            assert!(page.contains(&row), "{row}");
        }
    }
}
