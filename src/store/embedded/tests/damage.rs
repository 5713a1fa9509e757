//! Files that were flipped and cut at random: the whole store, or exit code 3.

use super::*;

#[test]
fn flipped_bits_and_cuts_end_in_all_records_or_in_exit_code_3() {
    let base = tempfile::tempdir().unwrap();
    let records = filled(base.path(), 500);
    let mut files = vec!["format", "lock", "witness", "sled-v2/conf", "sled-v2/db"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    for entry in fs::read_dir(base.path().join("sled-v2")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name.starts_with("snap.") {
            files.push(format!("sled-v2/{name}"));
        }
    }
    let (mut whole, mut refused) = (0, 0);
    for file in files {
        let good = fs::read(base.path().join(&file)).unwrap();
        let used = good.iter().rposition(|byte| *byte != 0).map_or(good.len(), |last| last + 1);
        for step in 0..12 {
            let dir = tempfile::tempdir().unwrap();
            copy(base.path(), dir.path());
            let at = used * step / 12;
            let bytes = if step % 3 == 2 {
                good[..at].to_vec()
            } else {
                let mut bytes = good.clone();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << (step % 8);
                }
                bytes
            };
            fs::write(dir.path().join(&file), bytes).unwrap();
            match open(dir.path()) {
                Ok(store) => {
                    assert_eq!(contents(&store), records, "{file} step {step}");
                    whole += 1;
                }
                Err(error) => {
                    assert_eq!(error.exit_code(), 3, "{file} step {step}: {error}");
                    refused += 1;
                }
            }
        }
    }
    assert!(whole > 0 && refused > 20, "{whole} whole, {refused} refused");
}
