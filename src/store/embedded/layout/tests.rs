use super::*;
use crate::store::embedded::files::LOST_AND_FOUND;

fn make(path: &Path, _: &StoreId) -> Result<(), OpenError> {
    fs::write(path.join("conf"), "c").unwrap();
    fs::write(path.join("db"), "d").unwrap();
    Ok(())
}

fn never(_: &Path, _: &StoreId) -> Result<(), OpenError> {
    panic!("made a database where one was")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn empty_store_is_made_once_and_closed_to_others() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("a/b/store");
    let layout = Layout::open(&root, true, make).unwrap();
    for directory in ["a", "a/b", "a/b/store", "a/b/store/sled-v2"] {
        assert_eq!(mode(&dir.path().join(directory)), 0o700, "{directory}");
    }
    for file in ["format", "lock", "witness", "sled-v2/db", "sled-v2/conf"] {
        assert_eq!(mode(&root.join(file)), 0o600, "{file}");
    }
    let store = *layout.store();
    drop(layout);
    fs::set_permissions(root.join("sled-v2/db"), Permissions::from_mode(0o644)).unwrap();
    let layout = Layout::open(&root, true, never).unwrap();
    assert_eq!(&store, layout.store());
    assert_eq!(mode(&root.join("sled-v2/db")), 0o600);
    layout.check_still_there().unwrap();
    layout.probe_space(1000).unwrap();
    assert!(!root.join(SPACE_PROBE).exists());
}

#[test]
fn second_opening_fails_and_names_the_process() {
    let dir = tempfile::tempdir().unwrap();
    let _held = Layout::open(dir.path(), true, make).unwrap();
    let error = Layout::open(dir.path(), true, never).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(
        error.to_string().ends_with(&format!("in use by another process (process {})", std::process::id())),
        "{error}"
    );
}

#[test]
fn foreign_directory_is_left_untouched() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("somebody's.txt"), "x").unwrap();
    for create in [true, false] {
        let error = Layout::open(dir.path(), create, never).unwrap_err();
        assert!(matches!(&error, OpenError::Foreign { found, .. } if found == "somebody's.txt"), "{error}");
        assert_eq!(error.exit_code(), 3);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
    let file = dir.path().join("somebody's.txt");
    assert_eq!(Layout::open(&file, true, never).unwrap_err().exit_code(), 3);
}

#[test]
fn nothing_is_made_where_a_store_must_exist() {
    let dir = tempfile::tempdir().unwrap();
    let error = Layout::open(&dir.path().join("a/b"), false, never).unwrap_err();
    assert_eq!((error.exit_code(), dir.path().join("a").exists()), (1, false));
    assert!(error.to_string().starts_with("no store at "), "{error}");
    assert!(matches!(Layout::open(dir.path(), false, never), Err(OpenError::Missing(_))));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn unknown_version_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    drop(Layout::open(dir.path(), true, make).unwrap());
    fs::write(dir.path().join(FORMAT), format_text(3, &[7; 16])).unwrap();
    let error = Layout::open(dir.path(), true, never).unwrap_err();
    assert!(matches!(&error, OpenError::UnknownFormat { found, .. } if found == "3"), "{error}");
    assert_eq!(error.exit_code(), 3);
}

#[test]
fn damaged_format_file_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    drop(Layout::open(dir.path(), true, make).unwrap());
    let path = dir.path().join(FORMAT);
    let good = fs::read(&path).unwrap();
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, bytes).unwrap();
        assert_eq!(Layout::open(dir.path(), true, never).unwrap_err().exit_code(), 3, "bit {bit}");
    }
    for length in 0..good.len() {
        fs::write(&path, &good[..length]).unwrap();
        assert_eq!(Layout::open(dir.path(), true, never).unwrap_err().exit_code(), 3, "length {length}");
    }
}

#[test]
fn store_that_lost_a_file_is_damaged() {
    for lost in ["format", "witness", "sled-v2/db", "sled-v2/conf"] {
        let dir = tempfile::tempdir().unwrap();
        drop(Layout::open(dir.path(), true, make).unwrap());
        fs::remove_file(dir.path().join(lost)).unwrap();
        let error = Layout::open(dir.path(), true, never).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{lost}: {error}");
    }
}

#[test]
fn interrupted_creation_is_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let interrupted = Layout::open(dir.path(), true, |path, store| {
        make(path, store)?;
        Err(OpenError::Missing(path.to_owned()))
    });
    assert!(interrupted.is_err());
    assert!(dir.path().join(CREATING).exists() && !dir.path().join(FORMAT).exists());
    assert!(matches!(Layout::open(dir.path(), false, never), Err(OpenError::Missing(_))));
    let mut made = false;
    Layout::open(dir.path(), true, |path, store| {
        made = fs::read_dir(path).unwrap().count() == 0;
        make(path, store)
    })
    .unwrap();
    assert!(made && !dir.path().join(CREATING).exists());
}

#[test]
fn root_of_a_file_system_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(LOST_AND_FOUND)).unwrap();
    Layout::open(dir.path(), true, make).unwrap();
}

#[test]
fn damaged_format_file_of_a_store_is_damage() {
    let spoilt: [(&str, &[u8]); 3] =
        [("empty", b""), ("zeroed", &[0; 130]), ("flipped", b"Virksomhedslogin store\n")];
    for (name, bytes) in spoilt {
        let dir = tempfile::tempdir().unwrap();
        drop(Layout::open(dir.path(), true, make).unwrap());
        fs::write(dir.path().join(FORMAT), bytes).unwrap();
        for error in [Layout::open(dir.path(), true, never).unwrap_err(), inspect(dir.path()).unwrap_err()] {
            assert!(matches!(error, OpenError::Damaged { .. }), "{name}: {error}");
            assert!(error.to_string().contains("virksomhedslogin import"), "{name}: {error}");
        }
        fs::remove_file(dir.path().join(HIGH_WATER_MARK)).unwrap();
        fs::remove_dir_all(dir.path().join(SLED)).unwrap();
        let error = Layout::open(dir.path(), true, never).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{name}, nothing else of ours: {error}");
    }
}

#[test]
fn store_without_format_file_beside_a_foreign_file_is_damage() {
    let dir = tempfile::tempdir().unwrap();
    drop(Layout::open(dir.path(), true, make).unwrap());
    fs::remove_file(dir.path().join(FORMAT)).unwrap();
    fs::write(dir.path().join("core.4711"), "x").unwrap();
    let error = Layout::open(dir.path(), true, never).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn part_of_the_wrong_kind_is_damage() {
    for part in [FORMAT, "sled-v2/db", HIGH_WATER_MARK] {
        let dir = tempfile::tempdir().unwrap();
        drop(Layout::open(dir.path(), true, make).unwrap());
        fs::remove_file(dir.path().join(part)).unwrap();
        fs::create_dir(dir.path().join(part)).unwrap();
        let error = Layout::open(dir.path(), true, never).unwrap_err();
        assert!(matches!(error, OpenError::Damaged { .. }), "{part}: {error}");
    }
    let dir = tempfile::tempdir().unwrap();
    drop(Layout::open(dir.path(), true, make).unwrap());
    fs::remove_dir_all(dir.path().join(SLED)).unwrap();
    fs::write(dir.path().join(SLED), "").unwrap();
    let error = Layout::open(dir.path(), true, never).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
}

#[test]
fn nothing_is_made_behind_a_dangling_link() {
    for below in ["link", "link/store", "link/a/store"] {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(dir.path().join("volume"), dir.path().join("link")).unwrap();
        let root = dir.path().join(below);
        for error in [Layout::open(&root, true, never).unwrap_err(), inspect(&root).unwrap_err()] {
            assert_eq!(error.exit_code(), 1);
            let words = "link is a symbolic link to ";
            assert!(error.to_string().contains(words), "{below}: {error}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{below}");
    }
}

#[test]
fn half_made_store_is_not_finished_where_none_may_be_made() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(CREATING), "").unwrap();
    assert!(matches!(Layout::open(dir.path(), false, never), Err(OpenError::Missing(_))));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "not even the lock is made");
}
