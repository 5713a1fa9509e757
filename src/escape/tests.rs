use super::*;
use proptest::prelude::*;

fn json(out: &mut Vec<u8>, text: &str) {
    to_json(out, text);
}

fn written(write: fn(&mut Vec<u8>, &str), text: &str) -> String {
    let mut line = Vec::new();
    write(&mut line, text);
    String::from_utf8(line).unwrap()
}

#[test]
fn a_written_text_stays_on_its_line_and_reads_back() {
    let text = "æ\"\\/\n\r\t\0\u{7f}\u{85}\u{9b}\u{a0}\u{2028}\u{2029}\u{2030}\u{1f600}";
    let line = written(json, text);
    assert_eq!(line, "\"æ\\\"\\\\/\\n\\r\\t\\u0000\\u007f\\u0085\\u009b\u{a0}\\u2028\\u2029\u{2030}😀\"");
    assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    assert_eq!(written(bare, "a \"b\" \\ \n\r\t\u{1b}\u{85}ø"), "a \"b\" \\ \\n\\r\\t\\u001b\\u0085ø");
}

#[test]
fn invisible_characters_are_escaped() {
    let text = "a\u{61c}\u{200b}\u{202e}b\u{2066}\u{feff}\u{61d}\u{fefe}\u{2070}";
    let line = written(json, text);
    assert_eq!(line, "\"a\\u061c\\u200b\\u202eb\\u2066\\ufeff\u{61d}\u{fefe}\u{2070}\"");
    assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
}

#[test]
fn a_long_text_is_cut_between_characters_and_keeps_its_difference() {
    assert_eq!(shortened("æøå", 3), "æøå");
    let (one, other) = (shortened("æøå1", 3).into_owned(), shortened("æøå2", 3).into_owned());
    assert!(one.starts_with("æøå…") && other.starts_with("æøå…") && one != other);
    assert_eq!(one.chars().count(), 3 + 1 + 16);
}

proptest! {
    #[test]
    fn any_text_reads_back_from_its_one_line(text in any::<String>()) {
        let line = written(json, &text);
        prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text.clone());
        for line in [line, written(bare, &text)] {
            let ends_a_line = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}';
            prop_assert!(!line.contains(ends_a_line), "{}", line);
        }
    }
}
