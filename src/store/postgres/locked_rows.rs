//! Writes whose row another session has locked. They wait here, so that they delay no others.
//!
//! Further writes to a waiting company come here at once: in a batch each of them would cost all others the time to find
//! the locked row. Sends no statements itself.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::job_queue::Call;
use crate::domain::cvr::Cvr;
use crate::store::{Record, StoreError};

pub(super) type Write = Call<Record, ()>;

pub(super) struct LockedRows {
    /// The companies whose row was locked lately. A hint: a wrong one costs only time.
    companies: Mutex<HashSet<Cvr>>,
    writes: mpsc::Sender<Write>,
}

impl LockedRows {
    pub(super) fn new(capacity: usize) -> (Arc<Self>, mpsc::Receiver<Write>) {
        let (writes, waiting) = mpsc::channel(capacity);
        (Arc::new(Self { companies: Mutex::default(), writes }), waiting)
    }

    /// Lets these writes wait until their row is free.
    pub(super) fn put_aside(&self, writes: Vec<Write>) {
        self.companies().extend(writes.iter().map(|write| write.request.cvr));
        for write in writes {
            if let Err(error) = self.writes.try_send(write) {
                error.into_inner().answer(Err(StoreError::Full));
            }
        }
    }

    /// Puts those writes aside whose row is known to be locked, and returns the others.
    pub(super) fn put_known_aside(&self, writes: Vec<Write>) -> Vec<Write> {
        let known = self.companies().clone();
        let (locked, free) = writes.into_iter().partition(|write| known.contains(&write.request.cvr));
        self.put_aside(locked);
        free
    }

    /// Replaces the companies that are known to be locked by those of these writes.
    pub(super) fn set_known(&self, writes: &[Write]) {
        *self.companies() = writes.iter().map(|write| write.request.cvr).collect();
    }

    fn companies(&self) -> MutexGuard<'_, HashSet<Cvr>> {
        self.companies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
