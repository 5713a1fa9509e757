//! Calls that wait for a task: whichever task is free takes all of them, for one statement. Bounded; keeps the order.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::store::StoreError;

/// A request, and where its answer goes.
pub(super) struct Call<T, A> {
    pub(super) request: T,
    answer: oneshot::Sender<Result<A, StoreError>>,
}

impl<T, A> Call<T, A> {
    pub(super) fn new(request: T) -> (Self, oneshot::Receiver<Result<A, StoreError>>) {
        let (answer, answered) = oneshot::channel();
        (Self { request, answer }, answered)
    }

    /// Whether the caller still waits.
    pub(super) fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }

    /// The caller may have gone.
    pub(super) fn answer(self, answer: Result<A, StoreError>) {
        let _ = self.answer.send(answer);
    }
}

/// The waiting calls, shared by several tasks.
pub(super) struct Queue<T, A>(Mutex<mpsc::Receiver<Call<T, A>>>);

impl<T, A> Queue<T, A> {
    pub(super) fn new(capacity: usize) -> (mpsc::Sender<Call<T, A>>, Arc<Self>) {
        let (calls, queue) = mpsc::channel(capacity);
        (calls, Arc::new(Self(Mutex::new(queue))))
    }

    /// Waits for calls whose callers still wait, and takes at most `limit`; none when every sender is gone.
    pub(super) async fn take(&self, limit: usize) -> Vec<Call<T, A>> {
        let mut calls = Vec::new();
        while self.0.lock().await.recv_many(&mut calls, limit).await > 0 {
            calls.retain(Call::is_awaited);
            if !calls.is_empty() {
                break;
            }
        }
        calls
    }
}
