use super::*;

#[test]
fn the_table_is_the_contracts_and_three_of_our_own() {
    let rows: Vec<(u16, &str)> =
        Kind::VARIANTS.iter().map(|kind| (kind.row().0.as_u16(), kind.row().1)).collect();
    assert_eq!(
        rows,
        [
            (401, "1012"),
            (400, "1014"),
            (403, "1013"),
            (403, "4575"),
            (400, "1014"),
            (404, "1014"),
            (405, "1014"),
            (421, "1014"),
            (408, "1014"),
            (413, "1014"),
            (415, "1014"),
            (415, "1014"),
            (404, "120500"),
            (412, "1014"),
            (429, "1100"),
            (500, "1011"),
            (503, "1100"),
            (507, "1100"),
        ]
    );
    assert_eq!(Kind::CompanyUnknown.row().2, "Virksomheden blev ikke fundet.");
}

#[test]
fn every_status_of_the_framework_has_a_row() {
    for status in (400..600).filter_map(|code| StatusCode::from_u16(code).ok()) {
        let kind = Problem::of_framework(status).kind;
        assert_eq!(status.is_client_error(), kind.row().0.is_client_error(), "{status}");
    }
}
