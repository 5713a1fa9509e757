use super::*;
use crate::domain::cvr::Cvr;
use crate::domain::login_span::LoginSpan;
use crate::domain::timestamp::Timestamp;
use crate::interchange::export::write_row;
use crate::interchange::{OBJECT, ROW, export, write_object};
use crate::store::{RecordStream, Snapshot};
use proptest::prelude::*;

const EXAMPLE: &str = "{\"cvrNummer\":\"12345678\",\"tidligsteLoginTidspunkt\":\"2026-11-23T08:15:30.123Z\",\
                       \"senesteLogintidspunkt\":\"2026-11-23T09:00:00.000Z\"}\n";

fn record(number: u32, first: i64, last: i64) -> Record {
    let timestamp = |millis| Timestamp::from_millis(millis).unwrap();
    Record {
        cvr: Cvr::from_number(number).unwrap(),
        login: LoginSpan::new(timestamp(first.min(last)), timestamp(first.max(last))).unwrap(),
    }
}

fn example() -> Record {
    let timestamp = |text| Timestamp::parse(text).unwrap();
    let login =
        LoginSpan::new(timestamp("2026-11-23T08:15:30.123Z"), timestamp("2026-11-23T09:00:00.000Z")).unwrap();
    Record { cvr: Cvr::parse("12345678").unwrap(), login }
}

fn exported(records: &[Record]) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(
        export(
            RecordStream::InMemory(Snapshot::default().with(records)),
            Default::default(),
            &mut out,
            |_| ()
        )
        .unwrap(),
        records.len() as u64
    );
    out
}

fn ndjson(text: &[u8]) -> Result<Vec<Record>, String> {
    let report = read(text, Format::Ndjson { trailer: true }, |_| ()).unwrap();
    report.accept(false)
}

fn bare(text: &str) -> Result<Vec<Record>, String> {
    let report = read(text.as_bytes(), Format::Ndjson { trailer: false }, |_| ()).unwrap();
    report.accept(false)
}

fn csv(text: &str) -> Result<Vec<Record>, String> {
    let report = read(text.as_bytes(), Format::Csv, |_| ()).unwrap();
    report.accept(false)
}

#[test]
fn a_record_is_written_as_the_contract_has_it() {
    let (mut object, mut row) = (Vec::new(), Vec::new());
    write_object(&mut object, &example());
    write_row(&mut row, &example());
    assert_eq!(String::from_utf8(row.clone()).unwrap(), EXAMPLE);
    assert_eq!((object.len(), row.len()), (OBJECT, ROW));
    assert_eq!(object, row[..OBJECT]);
}

#[test]
fn an_empty_store_is_a_trailer_and_comes_back() {
    let empty = exported(&[]);
    assert_eq!(
        String::from_utf8(empty.clone()).unwrap(),
        "{\"antal\":0,\"sha256\":\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"}\n"
    );
    assert_eq!(ndjson(&empty), Ok(vec![]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]
    #[test]
    fn what_is_exported_comes_back(
        companies in prop::collection::btree_map(
            0u32..100_000_000, (0i64..=253_402_300_799_999, 0i64..=253_402_300_799_999), 0..600)
    ) {
        let records: Vec<_> =
            companies.iter().map(|(&number, &(first, last))| record(number, first, last)).collect();
        prop_assert_eq!(ndjson(&exported(&records)), Ok(records));
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for format in [Format::Ndjson { trailer: true }, Format::Ndjson { trailer: false }, Format::Csv] {
            let _ = read(&bytes[..], format, |_| ());
        }
    }
}

#[test]
fn no_cut_and_no_flipped_bit_of_an_export_passes() {
    let whole = exported(&[example(), record(12_345_679, 5, 6)]);
    for length in 0..whole.len() - 1 {
        assert!(ndjson(&whole[..length]).is_err(), "cut to {length}");
    }
    for bit in 0..(whole.len() - 1) * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(ndjson(&flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn missing_or_wrong_trailer_and_data_after_it_are_reported() {
    assert_eq!(
        ndjson(EXAMPLE.as_bytes()).unwrap_err(),
        "the file ends after 1 lines without its trailer {\"antal\":…,\"sha256\":…}: it is cut off, or was made by \
         another system (then say --no-trailer)"
    );
    let trailer = String::from_utf8(exported(&[])).unwrap();
    let other = format!("{EXAMPLE}{trailer}");
    let error = ndjson(other.as_bytes()).unwrap_err();
    assert!(
        error.starts_with(
            "line 2: the trailer promises 0 records, the file has 1\nline 2: the trailer's sha256"
        )
    );
    let more = format!("{}{EXAMPLE}", String::from_utf8(exported(&[example()])).unwrap());
    assert_eq!(ndjson(more.as_bytes()).unwrap_err(), "line 3: there is data after the trailer in line 2");
    let blank = format!("{}\r\n\n", String::from_utf8(exported(&[example()])).unwrap());
    assert_eq!(ndjson(blank.as_bytes()), Ok(vec![example()]));
    // Without the demand for one, a trailer says nothing.
    assert_eq!(bare(&other), Ok(vec![example()]));
}

#[test]
fn crlf_bom_blank_lines_and_unknown_members_are_accepted() {
    let line = EXAMPLE.trim_end();
    let unknown = line.replacen('{', "{\"navn\":{\"a\":[1]},", 1);
    for text in [
        line.to_owned(),
        format!("\u{feff}{line}\r\n"),
        format!("\n{line}\n\n  \n"),
        format!(" {unknown} \r\n"),
        format!("{line}\n{line}\n"),
    ] {
        assert_eq!(bare(&text), Ok(vec![example()]), "{text:?}");
    }
}

#[test]
fn repeated_company_is_merged_and_records_are_ascending() {
    let mut text = Vec::new();
    for record in [record(9, 5, 5), record(3, 1, 1), record(9, 2, 3), record(9, 7, 7)] {
        write_row(&mut text, &record);
    }
    assert_eq!(bare(std::str::from_utf8(&text).unwrap()), Ok(vec![record(3, 1, 1), record(9, 2, 7)]));
}

#[test]
fn each_bad_line_is_reported_with_number_and_reason() {
    let line = EXAMPLE.trim_end();
    for (bad, reason) in [
        ("nonsense", "not a JSON object"),
        ("[1]", "not a JSON object"),
        ("{}", "cvrNummer is missing"),
        (&line[..60], "not readable: EOF while parsing a string at column 60"),
        (
            &line.replace("12345678", "1234567"),
            "cvrNummer \"1234567\": a CVR number is exactly eight ASCII digits ([0-9]{8})",
        ),
        (
            &line.replace("\"12345678\"", "12345678"),
            "not readable: invalid type: integer `12345678`, expected a string at column 21",
        ),
        (&line.replace("tidligste", "Tidligste"), "tidligsteLoginTidspunkt is missing"),
        (&line.replace("09:00:00.000Z", "07:00:00.000Z"), "the first login lies after the latest one"),
        (
            &line.replace("09:00:00.000Z", "09:00:00Z"),
            "senesteLogintidspunkt \"2026-11-23T09:00:00Z\": a timestamp is written as 2026-11-23T08:15:30.123Z (UTC, three decimals), in the \
             years 1970 to 9999",
        ),
        (
            &line.replacen('{', "{\"cvrNummer\":\"12345678\",", 1),
            "not readable: duplicate field `cvrNummer` at column 35",
        ),
        (&format!("{line} x"), "not readable: trailing characters at column 130"),
        (&format!("{{\"x\":\"{}\"}}", "y".repeat(200_000)), "longer than any record"),
    ] {
        let text = format!("{EXAMPLE}{bad}\n{EXAMPLE}");
        assert_eq!(bare(&text), Err(format!("line 2: {reason}")), "{}", &bad[..bad.len().min(200)]);
        let skipped = read(text.as_bytes(), Format::Ndjson { trailer: false }, |_| ()).unwrap();
        assert_eq!((skipped.good, skipped.bad), (2, 1));
        assert_eq!(skipped.accept(true), Ok(vec![example()]));
    }
    assert_eq!(
        read(&b"\xff\xff\n"[..], Format::Ndjson { trailer: false }, |_| ()).unwrap().bad_lines,
        ["line 1: not UTF-8"]
    );
}

#[test]
fn a_hundred_bad_lines_are_named_and_the_others_counted() {
    let report = read("x\n".repeat(250).as_bytes(), Format::Ndjson { trailer: false }, |_| ()).unwrap();
    assert_eq!(
        (report.bad, report.bad_lines.len(), report.bad_lines[99].as_str()),
        (250, 100, "line 100: not a JSON object")
    );
    let error = report.accept(false).unwrap_err();
    assert!(error.ends_with("line 100: not a JSON object\nand 150 more bad lines"), "{error}");
}

#[test]
fn csv_is_read_with_its_columns_in_any_order() {
    let values = "12345678,2026-11-23T08:15:30.123Z,2026-11-23T09:00:00.000Z";
    let names = NAMES.join(",");
    let turned = "2026-11-23T09:00:00.000Z,12345678,2026-11-23T08:15:30.123Z";
    for text in [
        format!("{names}\n{values}\n"),
        format!("\u{feff}{names}\r\n{values}\r\n\r\n"),
        format!("\"{}\"\n\"{}\"", names.replace(',', "\",\""), values.replace(',', "\",\"")),
        format!("{},{},{}\n{turned}", NAMES[2], NAMES[0], NAMES[1]),
    ] {
        assert_eq!(csv(&text), Ok(vec![example()]), "{text:?}");
    }
    assert_eq!(csv(&format!("{names}\n")), Ok(vec![]));
    assert_eq!(
        csv(&format!("{names}\n{values}\n{values},x\n\"12345678\n{values}")).unwrap_err(),
        "line 3: 4 fields in the place of 3, with commas between them as in the header\nline 4: a quote that is not closed"
    );
    assert_eq!(
        csv(&format!("{values}\n")).unwrap_err(),
        format!("line 1: no column cvrNummer; the header is {names}{SEPARATED}")
    );
    let within = "a carriage return within the line; lines end with LF or CRLF";
    assert_eq!(
        csv(&format!("{names}\n{values}\r{values}\n{values}\rx")).unwrap_err(),
        format!("line 2: {within}\nline 3: {within}")
    );
    assert_eq!(
        csv(&format!("{names}\r{values}\r")).unwrap_err(),
        format!("line 1: {within}; the header is {names}{SEPARATED}")
    );
    assert_eq!(csv("").unwrap_err(), format!("line 1: no line at all; the header is {names}{SEPARATED}"));
}

/// How a error header is explained.
const SEPARATED: &str = ", in any order, separated by commas or by semicolons";

#[test]
fn csv_with_semicolons_is_read_like_one_with_commas() {
    let values = "12345678;2026-11-23T08:15:30.123Z;2026-11-23T09:00:00.000Z";
    let names = NAMES.join(";");
    for text in [
        format!("{names}\n{values}\n"),
        format!("\u{feff}{names}\r\n{values}\r\n"),
        format!("\"{}\"\r\n\"{}\"\r\n", names.replace(';', "\";\""), values.replace(';', "\";\"")),
        format!(
            "{};{};{}\n2026-11-23T09:00:00.000Z;2026-11-23T08:15:30.123Z;12345678",
            NAMES[2], NAMES[1], NAMES[0]
        ),
    ] {
        assert_eq!(csv(&text), Ok(vec![example()]), "{text:?}");
    }
    assert_eq!(
        csv(&format!("{names}\n{}\n", values.replace(';', ","))).unwrap_err(),
        "line 2: 1 field in the place of 3, with semicolons between them as in the header"
    );
    let mixed = format!("{},{};{}", NAMES[0], NAMES[1], NAMES[2]);
    assert_eq!(
        csv(&format!("{mixed}\n{values}\n")).unwrap_err(),
        format!("line 1: commas and semicolons are mixed; the header is {}{SEPARATED}", NAMES.join(","))
    );
}

#[test]
fn file_of_another_kind_is_named_with_the_way_out() {
    for (bytes, kind, way_out) in [
        (&b"\x1f\x8b\x08\0\0"[..], "compressed by gzip", "zcat"),
        (b"\x28\xb5\x2f\xfd\x24", "compressed by zstd", "zstdcat"),
        (b"\xfd7zXZ\0", "compressed by xz", "xzcat"),
        (b"BZh91AY", "compressed by bzip2", "bzcat"),
        (b"PK\x03\x04\x14", "an Excel workbook", "CSV UTF-8"),
        (b"\xd0\xcf\x11\xe0\xa1", "an Excel workbook", "CSV UTF-8"),
        (b"\xff\xfec\0v\0", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
        (b"\xfe\xff\0c\0v", "UTF-16", "iconv -f UTF-16 -t UTF-8"),
        (b"c\0v\0r\0\n\0", "UTF-16", "iconv -f UTF-16LE -t UTF-8"),
    ] {
        for format in [Format::Csv, Format::Ndjson { trailer: true }, Format::Ndjson { trailer: false }] {
            let report = read(bytes, format, |_| ()).unwrap();
            let error = report.accept(true).unwrap_err();
            assert!(error.contains(kind) && error.contains(way_out), "{kind}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}

#[test]
fn bad_value_is_shown_with_what_is_expected() {
    for (values, expected) in [
        (
            "12345678,2026-02-30T08:15:30.123Z,2026-11-23T09:00:00.000Z",
            "line 2: tidligsteLoginTidspunkt \"2026-02-30T08:15:30.123Z\": there is no such day or time; ",
        ),
        (
            "12345678,2026-11-23T08:15:30.123Z,2026-02-30",
            "line 2: senesteLogintidspunkt \"2026-02-30\": a timestamp is written as 2026-11-23T08:15:30.123Z",
        ),
        ("1234567,x,y", "line 2: cvrNummer \"1234567\": a CVR number is exactly eight"),
        ("\"\u{1b}[2J\",x,y", "line 2: cvrNummer \"\\u{1b}[2J\": a CVR number"),
    ] {
        let error = csv(&format!("{}\n{values}\n", NAMES.join(","))).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
}
