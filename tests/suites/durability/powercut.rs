//! The power goes: only synced bytes are left, and by chance some of the others.
//!
//! `powercut.c` says what is modelled. In every second round random sectors of what was not synced survive as well, because a
//! real disk writes some of them on its own account, in any order.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use crate::suites::durability::crowd::{Companies, Crowd};
use crate::suites::durability::restart::{Dice, copy, files, restarted};
use crate::support::history::{History, Load};
use crate::support::logins::kill;
use crate::support::preload::shim;
use crate::support::process::{Fixture, Service, binary};
use crate::support::run_length::long;

const SECTOR: usize = 512;

/// A fixture whose disk forgets.
pub(super) struct Forgetful {
    pub fixture: Fixture,
}

impl Forgetful {
    pub(super) fn new() -> Self {
        Self { fixture: Fixture::new() }
    }

    fn store(&self) -> PathBuf {
        self.fixture.path("store")
    }

    /// The file whose presence makes syncs fail, or the clock differ.
    pub(super) fn trigger(&self) -> PathBuf {
        self.fixture.path("trigger")
    }

    fn tree(&self) -> PathBuf {
        self.fixture.path("shadow").join("tree")
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD", text(shim())),
            ("POWERCUT_STORE", text(&self.store())),
            ("POWERCUT_SHADOW", text(&self.fixture.path("shadow"))),
            ("POWERCUT_TRIGGER", text(&self.trigger())),
        ]
    }

    /// All that is there now is taken for durable.
    fn take_as_durable(&self) {
        let _ = std::fs::remove_dir_all(self.fixture.path("shadow"));
        std::fs::create_dir_all(self.tree()).unwrap();
        if self.store().exists() {
            copy(&self.store(), &self.tree());
        }
    }

    /// Starts the service under the shim.
    pub(super) fn serve(&self, more: &[(&str, &str)]) -> Service {
        self.take_as_durable();
        let variables = self.variables();
        let mut all: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(more);
        self.fixture.serve_with(&all)
    }

    /// Runs this command under the shim to its end.
    pub(super) fn run(&self, arguments: &[&str], more: &[(&str, &str)]) -> Output {
        self.take_as_durable();
        let mut command = binary();
        command.args(arguments).args(["--config", &self.fixture.config()]).envs(self.variables());
        command.envs(more.iter().copied()).output().unwrap()
    }

    fn most_unsynced(&self) -> PathBuf {
        self.fixture.path("shadow/most-unsynced")
    }

    /// Fails when sled wrote more between two syncs than it may, or a row that did not fit into its log.
    fn assert_small_writes(&self, when: &str) {
        let blobs: Vec<_> =
            files(&self.store()).into_iter().filter(|name| name.contains("/blobs/")).collect();
        assert!(blobs.is_empty(), "{when}: {} files beside the log, the first {}", blobs.len(), blobs[0]);
        let most = std::fs::read_to_string(self.most_unsynced()).unwrap();
        let most: u64 = most.parse().unwrap();
        eprintln!("{when}: at most {most} bytes between two syncs");
        assert!(most <= MOST_UNSYNCED, "{when}: {most} bytes were written between two syncs");
    }

    /// Puts what survived the power cut in the store's place.
    pub(super) fn cut(&self, survivors: Option<&mut Dice>) {
        if let Some(dice) = survivors {
            for name in files(&self.tree()) {
                if let Ok(real) = std::fs::read(self.store().join(&name)) {
                    let durable = std::fs::read(self.tree().join(&name)).unwrap();
                    std::fs::write(self.tree().join(&name), some_sectors(&real, durable, dice)).unwrap();
                }
            }
        }
        std::fs::remove_dir_all(self.store()).unwrap();
        std::fs::rename(self.tree(), self.store()).unwrap();
    }
}

/// The durable bytes, with a random half of the sectors that had not been synced.
fn some_sectors(real: &[u8], mut durable: Vec<u8>, dice: &mut Dice) -> Vec<u8> {
    for at in (0..real.len()).step_by(SECTOR) {
        let end = (at + SECTOR).min(real.len());
        if durable.get(at..end) != Some(&real[at..end]) && dice.below(2) == 0 {
            durable.resize(durable.len().max(end), 0);
            durable[at..end].copy_from_slice(&real[at..end]);
        }
    }
    durable
}

fn load_and_cut(disk: &Forgetful, history: &mut History, dice: &mut Dice, more: &[(&str, &str)]) {
    let mut service = disk.serve(more);
    let load = Load::start(&service, history);
    assert!(load.wait_for(20, Duration::from_secs(20)), "the writers write");
    std::thread::sleep(Duration::from_millis(dice.below(400)));
    kill(&mut service);
    load.finish(history);
}

#[test]
fn no_power_cut_loses_an_acknowledged_login() {
    let rounds = if long() { 40 } else { 4 };
    let (disk, mut history, mut dice) = (Forgetful::new(), History::default(), Dice(5));
    for round in 0..rounds {
        load_and_cut(&disk, &mut history, &mut dice, &[]);
        disk.cut((round % 2 == 1).then_some(&mut dice));
        history.assert(
            &restarted(&disk.fixture, &format!("after power cut {round}")),
            &format!("after power cut {round}"),
        );
    }
    eprintln!("power cut: {rounds} rounds, {} writes acknowledged, none lost", history.acknowledged);
}

/// The clients of the crowd: more than fit into one batch.
const CROWD: usize = 2_500;
/// What the store writes between two syncs at most: one of sled's segments.
const MOST_UNSYNCED: u64 = 512 << 10;

#[test]
fn no_power_cut_in_a_crowd_loses_an_acknowledged_login() {
    let rounds = if long() { 4 } else { 1 };
    let (disk, mut history, mut dice) = (Forgetful::new(), History::default(), Dice(13));
    for round in 0..rounds {
        // Slow enough for the whole crowd to wait while a batch is synced.
        let mut service = disk.serve(&[("POWERCUT_SYNC_MS", "60")]);
        std::fs::write(disk.most_unsynced(), "").unwrap();
        let crowd = Crowd::start(&service, &history, CROWD, Companies::New);
        // At least twenty whole batches: the first rows of the WAL share a leaf of sled, which then splits.
        // In the long run once beyond what may wait in the WAL, so that every batch applies its share.
        let enough = if long() && round == 0 { 300_000 } else { 50_000 };
        crowd.wait_for(enough, Duration::from_secs(400));
        std::thread::sleep(Duration::from_millis(dice.below(300)));
        kill(&mut service);
        crowd.finish(&mut history);
        disk.assert_small_writes(&format!("round {round}"));
        disk.cut((round % 2 == 1).then_some(&mut dice));
        history.assert(
            &restarted(&disk.fixture, &format!("after power cut {round}")),
            &format!("after power cut {round}"),
        );
    }
    eprintln!(
        "crowd of {CROWD}: {rounds} power cuts, {} writes acknowledged, none lost",
        history.acknowledged
    );
}

#[test]
fn an_import_in_any_order_syncs_before_a_segment_is_full() {
    const ROWS: u64 = 150_000;
    let disk = Forgetful::new();
    disk.take_as_durable();
    std::fs::write(disk.most_unsynced(), "").unwrap();
    // Every company once, in an order that touches another page each time.
    let mut rows = String::from("cvrNummer,tidligsteLoginTidspunkt,senesteLogintidspunkt\n");
    for at in 0..ROWS {
        let (cvr, time) = (at * 67_867_979 % 100_000_000, "2026-11-23T08:15:30.123Z");
        writeln!(rows, "{cvr:08},{time},{time}").unwrap();
    }
    disk.fixture.write("rows.csv", &rows);
    let mut import = binary();
    import.args(["import", "--config", &disk.fixture.config()]).arg(disk.fixture.path("rows.csv"));
    let imported = import.envs(disk.variables()).output().unwrap();
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    disk.assert_small_writes("import");
    disk.cut(None);
    assert_eq!(restarted(&disk.fixture, "after the import").len() as u64, ROWS);
}

#[test]
fn checker_sees_the_loss_of_a_power_cut_without_fdatasync() {
    let (disk, mut history, mut dice) = (Forgetful::new(), History::default(), Dice(5));
    load_and_cut(&disk, &mut history, &mut dice, &[("POWERCUT_IGNORE_FDATASYNC", "1")]);
    disk.cut(None);
    let found = restarted(&disk.fixture, "the shim does not forget as it should");
    let wrong = history.check(&found).expect_err("the checker sees the losses");
    assert!(wrong.iter().any(|fault| fault.ends_with("is lost")), "{wrong:?}");
    eprintln!("without fdatasync: {} faults after {} acknowledged writes", wrong.len(), history.acknowledged);
}

#[test]
fn power_cut_during_creation_leaves_a_store_that_starts() {
    let rounds = if long() { 60 } else { 6 };
    let (mut dice, mut not_made) = (Dice(7), 0);
    for round in 0..rounds {
        let disk = Forgetful::new();
        disk.take_as_durable();
        std::fs::create_dir(disk.store()).unwrap();
        let mut command = binary();
        command.args(["serve", "--config", &disk.fixture.config()]).envs(disk.variables());
        let mut child =
            command.stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(10 + dice.below(120)));
        child.kill().unwrap();
        child.wait().unwrap();
        disk.cut((round % 2 == 1).then_some(&mut dice));
        not_made += u32::from(!disk.store().join("format").exists());
        assert!(restarted(&disk.fixture, &format!("in round {round}")).is_empty());
    }
    eprintln!("power cut while the store was made: {rounds} rounds, {not_made} before it was complete");
}
