use super::*;

#[test]
fn every_row_of_the_table_of_errors_has_a_series_of_its_own() {
    let requests = Requests::default();
    let took = Duration::from_micros(30);
    for kind in Kind::VARIANTS {
        let (status, code, _) = kind.row();
        requests.count(Some(Method::SetLogin), status, Some(code), None, took);
        let labels = ["SetLogin", status.as_str(), code, "none"];
        assert!(requests.read().any(|series| series == (labels, series.1) && series.1 > 0), "{kind:?}");
    }
    assert!(requests.read().all(|series| series.0[1] != "other"));
    let counted: u64 = requests.read().map(|series| series.1).sum();
    assert_eq!(counted, Kind::VARIANTS.len() as u64);
}

#[test]
fn an_undeclared_answer_is_counted_in_one_series() {
    let requests = Requests::default();
    let before = requests.read().count();
    for status in [StatusCode::IM_A_TEAPOT, StatusCode::CREATED] {
        requests.count(None, status, None, None, Duration::ZERO);
    }
    let counted: Vec<_> = requests.read().filter(|series| series.1 > 0).collect();
    assert_eq!(counted, [(["-", "other", "-", "none"], 2)]);
    assert_eq!(requests.read().count(), before + 1);
}

#[test]
fn an_expected_answer_has_a_series_before_it_is_given() {
    let requests = Requests::default();
    let labels: Vec<_> = requests.read().map(|series| series.0).collect();
    assert!(labels.contains(&["GetLogin", "404", "120500", "JobCenter"]));
    assert!(labels.contains(&["SetLogin", "507", "1100", "STAR"]));
    assert!(labels.contains(&["GetLogins", "401", "1012", "none"]));
    assert!(!labels.contains(&["GetLogins", "507", "1100", "STAR"]));
    assert!(labels.iter().all(|labels| labels[0] != "-" && labels[3] != "other"));
    assert!(labels.len() < 120, "{}", labels.len());
}
