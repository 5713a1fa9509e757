//! The parts that the service cannot do without: threads and tasks that must not end before the service stops.
//!
//! Each holds a [`Guard`] while it runs. Whoever serves waits for [`CriticalTasks::running`] before it calls itself ready,
//! and stops with a failure on [`CriticalTasks::ended`]: a process that can no longer serve must not look alive.

use tokio::sync::watch;

/// What became of the parts; clones speak of the same ones.
#[derive(Debug, Clone, Default)]
pub struct CriticalTasks(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    /// Parts that have started, those that have ended included.
    started: usize,
    /// Why the first part that ended did.
    ended: Option<String>,
}

impl CriticalTasks {
    /// A part begins to run. It runs for as long as the guard lives.
    pub fn guard(&self, name: &'static str) -> Guard {
        self.0.send_modify(|state| state.started += 1);
        Guard { essential: self.clone(), name }
    }

    /// A part has ended, for this reason. The first one counts.
    pub fn end(&self, reason: String) {
        self.0.send_modify(|state| {
            state.ended.get_or_insert(reason);
        });
    }

    /// How many parts have started.
    pub fn started(&self) -> usize {
        self.0.borrow().started
    }

    /// Waits until so many parts have started.
    pub async fn running(&self, parts: usize) {
        // Never an error: the sender is here.
        let _ = self.0.subscribe().wait_for(|state| state.started >= parts).await;
    }

    /// Waits until a part has ended, and returns why.
    pub async fn ended(&self) -> String {
        // As above.
        let _ = self.0.subscribe().wait_for(|state| state.ended.is_some()).await;
        self.0.borrow().ended.clone().unwrap_or_default()
    }
}

/// A part that runs.
#[derive(Debug)]
pub struct Guard {
    essential: CriticalTasks,
    name: &'static str,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.essential.end(format!("{} has ended", self.name));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[actix_rt::test]
    async fn a_part_is_running_from_its_start_and_ended_from_its_panic() {
        let essential = CriticalTasks::default();
        let guard = essential.guard("the thread");
        essential.running(1).await;
        let part = thread::spawn(move || {
            let _guard = guard;
            panic!("for the test");
        });
        assert_eq!(essential.ended().await, "the thread has ended");
        assert!(part.join().is_err());
        essential.end("something else".to_owned());
        assert_eq!(essential.ended().await, "the thread has ended", "the first one counts");
    }
}
