//! The power goes: only synced bytes are left, and by chance some of the others.
//!
//! `powercut.c` says what is modelled. In every second round random sectors of what was not synced survive as well, because a
//! real disk writes some of them on its own account, in any order.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::history::{History, Load};
use crate::process::{Service, Site, binary};
use crate::shim::shim;
use crate::site::{Dice, Outcome, copy, files, kill, long, serve, try_start};

const SECTOR: usize = 512;

/// A site whose disk forgets.
pub struct Forgetful {
    pub site: Site,
}

impl Forgetful {
    pub fn new() -> Self {
        Self { site: Site::new() }
    }

    fn store(&self) -> PathBuf {
        self.site.path("store")
    }

    /// The file whose presence makes syncs fail, or the clock differ.
    pub fn trigger(&self) -> PathBuf {
        self.site.path("trigger")
    }

    fn tree(&self) -> PathBuf {
        self.site.path("shadow").join("tree")
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD", text(shim())),
            ("POWERCUT_STORE", text(&self.store())),
            ("POWERCUT_SHADOW", text(&self.site.path("shadow"))),
            ("POWERCUT_TRIGGER", text(&self.trigger())),
        ]
    }

    /// All that is there now is taken for durable.
    fn settle(&self) {
        let _ = std::fs::remove_dir_all(self.site.path("shadow"));
        std::fs::create_dir_all(self.tree()).unwrap();
        if self.store().exists() {
            copy(&self.store(), &self.tree());
        }
    }

    /// Starts the service under the shim.
    pub fn serve(&self, more: &[(&str, &str)]) -> Service {
        self.settle();
        let variables = self.variables();
        let mut all: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        all.extend(more);
        serve(&self.site, &all)
    }

    /// Puts what survived the power cut in the store's place.
    pub fn cut(&self, survivors: Option<&mut Dice>) {
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
        match try_start(&disk.site) {
            Outcome::Serves(found) => history.assert(&found, &format!("after power cut {round}")),
            other => panic!("after power cut {round}: {other:?}"),
        }
    }
    eprintln!("power cut: {rounds} rounds, {} writes acknowledged, none lost", history.acknowledged);
}

#[test]
fn without_our_fdatasync_a_power_cut_loses_logins_and_the_checker_sees_it() {
    let (disk, mut history, mut dice) = (Forgetful::new(), History::default(), Dice(5));
    load_and_cut(&disk, &mut history, &mut dice, &[("POWERCUT_IGNORE_FDATASYNC", "1")]);
    disk.cut(None);
    match try_start(&disk.site) {
        Outcome::Serves(found) => {
            let wrong = history.check(&found).expect_err("the checker sees the losses");
            assert!(wrong.iter().any(|fault| fault.ends_with("is lost")), "{wrong:?}");
            eprintln!(
                "without fdatasync: {} faults after {} acknowledged writes",
                wrong.len(),
                history.acknowledged
            );
        }
        other => panic!("the shim does not forget as it should: {other:?}"),
    }
}

#[test]
fn a_power_cut_while_an_empty_store_is_made_leaves_one_that_starts() {
    let rounds = if long() { 60 } else { 6 };
    let (mut dice, mut not_made) = (Dice(7), 0);
    for round in 0..rounds {
        let disk = Forgetful::new();
        disk.settle();
        std::fs::create_dir(disk.store()).unwrap();
        let mut command = binary();
        command.args(["serve", "--config", &disk.site.config()]).envs(disk.variables());
        let mut child =
            command.stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(10 + dice.below(120)));
        child.kill().unwrap();
        child.wait().unwrap();
        disk.cut((round % 2 == 1).then_some(&mut dice));
        not_made += u32::from(!disk.store().join("format").exists());
        match try_start(&disk.site) {
            Outcome::Serves(found) => assert!(found.is_empty()),
            other => panic!("in round {round}: {other:?}"),
        }
    }
    eprintln!("power cut while the store was made: {rounds} rounds, {not_made} before it was complete");
}
