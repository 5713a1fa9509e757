use super::*;

fn pairs(errors: &[FieldError]) -> Vec<(&str, &str)> {
    errors.iter().map(|error| (error.felt.as_str(), error.fejltekst.as_str())).collect()
}

fn query(text: &str) -> (Option<String>, Vec<FieldError>) {
    let mut errors = Vec::new();
    (company_in_query(text, &mut errors).map(|cvr| cvr.to_string()), errors)
}

fn body(text: &str) -> (Option<String>, Vec<FieldError>) {
    let mut errors = Vec::new();
    (company_in_body(text.as_bytes(), &mut errors).map(|cvr| cvr.to_string()), errors)
}

#[test]
fn what_is_read_is_what_is_declared() {
    let login = SetVirksomhedsLoginDto { cvr_nummer: "12345678".to_owned() };
    let declared = serde_json::to_value(SetVirksomhedsLoginRequestDto { virksomheds_login_dto: login });
    assert_eq!(declared.unwrap(), serde_json::json!({ DTO: { CVR_NUMMER: "12345678" } }));
    let declared = serde_json::to_value(GetVirksomhedsLoginRequestDto { cvr_nummer: String::new() });
    assert_eq!(declared.unwrap(), serde_json::json!({ CVR_NUMMER: "" }));
}

const PATTERN: &str = "Skal være otte cifre ([0-9]{8}).";
const ONCE: &str = "Må kun stå én gang.";

#[test]
fn a_good_query_names_one_company() {
    for text in
        ["cvrNummer=00000042", "CvrNummer=00000042", "x=1&cvrNummer=0000004%32&y", "%63vrNummer=00000042"]
    {
        assert_eq!(query(text), (Some("00000042".to_owned()), vec![]), "{text}");
    }
}

#[test]
fn every_error_of_a_query_is_listed() {
    for (text, expected) in [
        ("", vec![(CVR_NUMMER, "Mangler i forespørgslen.")]),
        ("cvrnummer=12345678", vec![(CVR_NUMMER, "Mangler i forespørgslen.")]),
        ("cvrNummer=", vec![(CVR_NUMMER, PATTERN)]),
        ("cvrNummer", vec![(CVR_NUMMER, PATTERN)]),
        ("cvrNummer=1234567", vec![(CVR_NUMMER, PATTERN)]),
        ("cvrNummer=+2345678", vec![(CVR_NUMMER, PATTERN)]),
        ("cvrNummer=%31234567%00", vec![(CVR_NUMMER, PATTERN)]),
        ("cvrNummer=12345678&cvrNummer=12345678", vec![(CVR_NUMMER, ONCE)]),
        ("cvrNummer=12345678&CvrNummer=12345678", vec![(CVR_NUMMER, ONCE)]),
        ("a=1&a=2&cvrNummer=12345678", vec![("a", ONCE)]),
        ("a=1&a=2", vec![("a", ONCE), (CVR_NUMMER, "Mangler i forespørgslen.")]),
    ] {
        assert_eq!(pairs(&query(text).1), expected, "{text}");
    }
}

#[test]
fn a_good_body_names_one_company() {
    for text in [
        r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678"}}"#,
        r#"{"virksomhedsLoginDto":{"CvrNummer":"12345678"}}"#,
        r#" {"x":{"x":1,"x":2},"VirksomhedsLoginDto":{"cvrNummer":"12345678","tidligsteLoginTidspunkt":"x"}} "#,
    ] {
        assert_eq!(body(text), (Some("12345678".to_owned()), vec![]), "{text}");
    }
}

#[test]
fn every_error_of_a_body_is_listed() {
    const NUMBER: &str = "VirksomhedsLoginDto.cvrNummer";
    for (text, expected) in [
        ("", vec![("request", "Kroppen mangler.")]),
        ("{", vec![("request", "Kroppen er ikke gyldig JSON.")]),
        ("[]", vec![("request", "Skal være et JSON-objekt.")]),
        ("null", vec![("request", "Skal være et JSON-objekt.")]),
        ("{}", vec![(DTO, "Mangler.")]),
        (r#"{"virksomhedslogindto":{}}"#, vec![(DTO, "Mangler.")]),
        (r#"{"VirksomhedsLoginDto":"12345678"}"#, vec![(DTO, "Skal være et JSON-objekt.")]),
        (r#"{"VirksomhedsLoginDto":{}}"#, vec![(NUMBER, "Mangler.")]),
        (r#"{"VirksomhedsLoginDto":{"cvrNummer":12345678}}"#, vec![(NUMBER, "Skal være en tekststreng.")]),
        (r#"{"VirksomhedsLoginDto":{"cvrNummer":null}}"#, vec![(NUMBER, "Skal være en tekststreng.")]),
        (r#"{"VirksomhedsLoginDto":{"cvrNummer":"1234567"}}"#, vec![(NUMBER, PATTERN)]),
        (r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678","CvrNummer":"12345678"}}"#, vec![(NUMBER, ONCE)]),
        (
            r#"{"VirksomhedsLoginDto":{"cvrNummer":"12345678"},"virksomhedsLoginDto":{"cvrNummer":"12345678"}}"#,
            vec![(DTO, ONCE)],
        ),
        (r#"{"ø":1,"ø":2,"VirksomhedsLoginDto":{}}"#, vec![("ø", ONCE), (NUMBER, "Mangler.")]),
    ] {
        assert_eq!(pairs(&body(text).1), expected, "{text}");
    }
}

/// Processor time of this thread that the work takes, the least of some tries: what else the machine does is not in it.
fn cost(mut work: impl FnMut()) -> std::time::Duration {
    use rustix::time::{ClockId, clock_gettime};
    let now = || std::time::Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    (0..7)
        .map(|_| {
            let begun = now();
            work();
            now() - begun
        })
        .min()
        .unwrap()
}

#[test]
fn repeated_members_cost_in_proportion_to_their_number() {
    let body = |count: u32| {
        let names: String = (0..count).map(|number| format!(r#""{number:05}":0,"#)).collect();
        format!("{{{names}{names}\"x\":0}}")
    };
    let cost = |count| {
        let text = body(count);
        cost(|| assert_eq!(super::company_in_body(text.as_bytes(), &mut Vec::new()), None))
    };
    let (few, many) = (cost(500), cost(4_000));
    // Eight times as many; what is quadratic takes 64 times as long.
    assert!(many < few * 24, "{few:?} for 500, {many:?} for 4,000");
}

#[test]
fn parameters_beyond_the_most_are_not_read() {
    let query = |count: u32| (0..count).map(|number| format!("{number:05}&")).collect::<String>();
    let cost = |count| {
        let text = query(count);
        cost(|| super::repeated_parameters(&text, &mut Vec::new()))
    };
    let (few, many) = (cost(100), cost(10_000));
    assert!(many < few * 8, "{few:?} for 100, {many:?} for 10,000");
}
