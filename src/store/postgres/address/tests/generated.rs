//! Whatever the password is: it arrives as it is, and is never shown.

use proptest::prelude::*;

use super::*;

/// Stands in every generated password and nowhere else.
const MARK: &str = "Zq9";

/// A password, however it is written: encoded as it must be, or in a hurry.
fn strings() -> impl Strategy<Value = String> {
    let password = ("\\PC{0,6}", "[ '@/?&%:,=#\\\\\\[\\]a-z]{0,4}", "[ '@/?&%:,=#\\\\a-z]{0,4}")
        .prop_map(|(any, before, after)| format!("{any}{before}{MARK}{after}"));
    let tail = prop_oneof![
        Just(""),
        Just("sslmode=disable"),
        Just("sslmode=bad"),
        Just("port=x"),
        Just("unknown=1"),
        Just("password=b"),
        Just("sslrootcert=/nowhere"),
    ];
    (password, tail, 0..9usize).prop_map(|(password, tail, form)| {
        let encoded = text::encode(&password);
        let quoted = password.replace('\\', r"\\").replace('\'', r"\'");
        match form {
            0 => format!("postgresql://u:{encoded}@h/d?{tail}"),
            1 => format!("postgresql://u:{password}@h/d?{tail}"),
            2 => format!("postgresql:///d?user=u&password={encoded}&host=h&{tail}"),
            3 => format!("postgresql:///d?host=h&user=u&password={password}&{tail}"),
            4 => format!("host=h user=u password='{quoted}' {tail}"),
            5 => format!("host=h user=u password='{password}' {tail}"),
            6 => format!("host=h user=u password={password} {tail}"),
            7 => format!("postgres:/u:{password}@h/d?{tail}"),
            _ => format!("host=localhost password={password} user=u {tail}"),
        }
    })
}

fn cases() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4096) }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_password_is_never_shown(text in strings()) {
        let shown = match Address::parse(&text) {
            Ok(address) => format!("{address} {address:?} {address:#?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(MARK), "{text}: {shown}");
        prop_assert!(!shown.contains("zq9"), "{text}: {shown}");
    }

    #[test]
    fn a_password_that_is_written_right_arrives_as_it_is(password in "[^\0]{1,20}") {
        let quoted = password.replace('\\', r"\\").replace('\'', r"\'");
        for text in [
            format!("postgresql://u:{}@localhost", text::encode(&password)),
            format!("postgresql://localhost?user=u&password={}", text::encode(&password)),
            format!("host=localhost password='{quoted}' user=u"),
        ] {
            let read = Address::parse(&text).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            prop_assert_eq!(read.config().get_password(), Some(password.as_bytes()));
            prop_assert_eq!(read.to_string(), "postgresql://u@localhost:5432/u");
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "(postgres://)?[ a-z0-9=:@/?&%,'\\\\\\[\\]\\PC]{0,60}") {
        let _ = Address::parse(&text);
    }

    #[test]
    fn what_is_shown_can_be_read_again(user in "[^\0]{1,8}", database in "[^\0]{1,8}", port in 1..=u16::MAX) {
        let shown = format!(
            "postgresql://{}@db.example:{port},[::1]:1/{}", text::encode(&user), text::encode(&database),
        );
        let read = Address::parse(&shown).map_err(|error| TestCaseError::fail(format!("{shown}: {error}")))?;
        prop_assert_eq!(read.config().get_user(), Some(user.as_str()));
        prop_assert_eq!(read.config().get_dbname(), Some(database.as_str()));
        prop_assert_eq!(read.to_string(), shown);
    }
}
