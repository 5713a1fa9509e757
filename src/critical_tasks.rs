//! Threads and tasks that must not end before the service stops.
//!
//! Each holds a [`Guard`] while it runs. The server is ready after [`CriticalTasks::running`] and fails on
//! [`CriticalTasks::ended`]: a process that can no longer serve must not look alive.

use tokio::sync::watch;

/// The state of all tasks; clones share it.
#[derive(Debug, Clone, Default)]
pub struct CriticalTasks(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    /// Tasks that have started, ended ones included.
    started: usize,
    /// Why the first one ended.
    ended: Option<String>,
}

impl CriticalTasks {
    /// Starts a task, which runs as long as the guard lives.
    pub fn guard(&self, name: &'static str) -> Guard {
        self.0.send_modify(|state| state.started += 1);
        Guard { tasks: self.clone(), name }
    }

    /// Ends a task. The first reason counts.
    pub fn end(&self, reason: String) {
        self.0.send_modify(|state| {
            state.ended.get_or_insert(reason);
        });
    }

    pub fn started(&self) -> usize {
        self.0.borrow().started
    }

    /// Waits until this many tasks have started.
    pub async fn running(&self, count: usize) {
        // Never an error: the sender is `self`.
        let _ = self.0.subscribe().wait_for(|state| state.started >= count).await;
    }

    /// Waits until a task has ended, and returns why.
    pub async fn ended(&self) -> String {
        let _ = self.0.subscribe().wait_for(|state| state.ended.is_some()).await;
        self.0.borrow().ended.clone().unwrap_or_default()
    }
}

/// A running task.
#[derive(Debug)]
pub struct Guard {
    tasks: CriticalTasks,
    name: &'static str,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.tasks.end(format!("{} has ended", self.name));
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[actix_rt::test]
    async fn task_runs_from_its_start_and_ends_with_its_panic() {
        let tasks = CriticalTasks::default();
        let guard = tasks.guard("the thread");
        tasks.running(1).await;
        let part = thread::spawn(move || {
            let _guard = guard;
            panic!("for the test");
        });
        assert_eq!(tasks.ended().await, "the thread has ended");
        assert!(part.join().is_err());
        tasks.end("something else".to_owned());
        assert_eq!(tasks.ended().await, "the thread has ended", "the first one counts");
    }
}
