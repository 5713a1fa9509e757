//! Calls that wait for a lane: whoever is free takes all that wait, for one statement.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::store::StoreError;

/// What is asked, and who is to be told.
pub(super) struct Call<T, A> {
    pub(super) asked: T,
    answer: oneshot::Sender<Result<A, StoreError>>,
}

impl<T, A> Call<T, A> {
    /// A call, and where its answer is had.
    pub(super) fn new(asked: T) -> (Self, oneshot::Receiver<Result<A, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        (Self { asked, answer }, answered)
    }

    /// Whether the caller still waits.
    pub(super) fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }

    /// Tells the caller, who may have gone.
    pub(super) fn tell(self, answer: Result<A, StoreError>) {
        let _ = self.answer.send(answer);
    }
}

/// The calls that wait, for several lanes.
pub(super) struct Waiting<T, A>(Arc<Mutex<mpsc::Receiver<Call<T, A>>>>);

impl<T, A> Clone for Waiting<T, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Where calls are put, and where they are taken from. No more than `capacity` wait.
pub(super) fn queue<T, A>(capacity: usize) -> (mpsc::Sender<Call<T, A>>, Waiting<T, A>) {
    let (calls, waiting) = mpsc::channel(capacity);
    (calls, Waiting(Arc::new(Mutex::new(waiting))))
}

impl<T, A> Waiting<T, A> {
    /// Waits for calls and takes at most `most` of them; `false` when nobody can call any more.
    pub(super) async fn take(&self, calls: &mut Vec<Call<T, A>>, most: usize) -> bool {
        calls.clear();
        while calls.is_empty() {
            if self.0.lock().await.recv_many(calls, most).await == 0 {
                return false;
            }
            // Who has given up by now has been told so.
            calls.retain(Call::is_awaited);
        }
        true
    }
}
