//! Notices that a thread which accepts connections has died.
//!
//! It is actix's own, and runs no code of ours: only a panic ends it early, and actix does not notice. Its listener
//! is closed then, while the workers, the store and the process go on.

use std::future::Future;
use std::panic;
use std::sync::LazyLock;
use std::thread;

use tokio::sync::watch;

/// The name that actix gives to these threads.
const NAME: &str = "actix-server acceptor";

/// Changes with every panic of such a thread in this process.
static PANICS: LazyLock<watch::Sender<()>> = LazyLock::new(|| {
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if thread::current().name() == Some(NAME) {
            PANICS.send_replace(());
        }
        before(panic);
    }));
    watch::Sender::new(())
});

/// Waits for the next panic of such a thread, counted from this call.
pub(super) fn panicked() -> impl Future<Output = ()> {
    let mut panics = PANICS.subscribe();
    async move {
        // Never an error: the sender is static.
        let _ = panics.changed().await;
    }
}
