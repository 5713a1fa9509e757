//! The logins: in a redb file, and all of them in memory for reads.
//!
//! One thread writes. All logins that wait are one durable transaction, and the memory changes after it: no reader sees
//! what a power cut could take back.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::{self, JoinHandle};

use redb::{Database, Durability, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition};
use tokio::sync::{mpsc, oneshot};

const TABLE: TableDefinition<u32, (i64, i64)> = TableDefinition::new("logins");
const CACHE: usize = 128 << 20;
const MOST_LOGINS: usize = 4096;

/// First and last login, in milliseconds since 1970.
#[derive(Clone, Copy)]
pub struct Span {
    pub first: i64,
    pub last: i64,
}

/// A login that is not on the disk yet.
struct Login {
    cvr: u32,
    time: i64,
    durable: oneshot::Sender<()>,
}

#[derive(Clone)]
pub struct Logins {
    spans: Arc<Spans>,
    // Bounded by the connections: each has one login waiting at most.
    queue: mpsc::UnboundedSender<Login>,
}

#[derive(Default)]
struct Spans(RwLock<BTreeMap<u32, Span>>);

impl Logins {
    /// Opens the file and reads all of it; an empty one takes the companies of a list first. The thread closes the
    /// file and ends when the last `Logins` is dropped.
    pub fn open(path: &Path, companies: Option<&Path>) -> Result<(Self, JoinHandle<()>), Box<dyn Error>> {
        let database = Database::builder().set_cache_size(CACHE).create(path)?;
        fill(&database, companies)?;
        let mut all = BTreeMap::new();
        for entry in database.begin_read()?.open_table(TABLE)?.iter()? {
            let (cvr, span) = entry?;
            let (first, last) = span.value();
            all.insert(cvr.value(), Span { first, last });
        }
        let spans = Arc::new(Spans(RwLock::new(all)));
        let (queue, waiting) = mpsc::unbounded_channel();
        let writer = Writer { database, spans: Arc::clone(&spans) };
        Ok((Self { spans, queue }, thread::spawn(move || writer.run(waiting))))
    }

    pub fn find(&self, cvr: u32) -> Option<Span> {
        self.spans.find(cvr)
    }

    /// So many companies from this number on.
    pub fn page(&self, from: u32, most: usize) -> Vec<(u32, Span)> {
        let spans = self.spans.0.read().unwrap_or_else(PoisonError::into_inner);
        spans.range(from..).take(most).map(|(cvr, span)| (*cvr, *span)).collect()
    }

    /// Whether the login is on the disk.
    pub async fn record(&self, cvr: u32, time: i64) -> bool {
        let (durable, done) = oneshot::channel();
        self.queue.send(Login { cvr, time, durable }).is_ok() && done.await.is_ok()
    }
}

impl Spans {
    fn find(&self, cvr: u32) -> Option<Span> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(&cvr).copied()
    }
}

/// Each line of a list is `cvr,first,last`.
fn fill(database: &Database, companies: Option<&Path>) -> Result<(), Box<dyn Error>> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(TABLE)?;
        let list = if table.is_empty()? { companies.map(fs::read_to_string).transpose()? } else { None };
        for line in list.iter().flat_map(|text| text.lines()) {
            let mut numbers = line.split(',');
            let (Some(cvr), Some(first), Some(last)) = (numbers.next(), numbers.next(), numbers.next())
            else {
                return Err(format!("not cvr,first,last: {line}").into());
            };
            table.insert(cvr.parse::<u32>()?, (first.parse()?, last.parse()?))?;
        }
    }
    Ok(transaction.commit()?)
}

struct Writer {
    database: Database,
    spans: Arc<Spans>,
}

impl Writer {
    fn run(self, mut waiting: mpsc::UnboundedReceiver<Login>) {
        let mut batch = Vec::with_capacity(MOST_LOGINS);
        while waiting.blocking_recv_many(&mut batch, MOST_LOGINS) > 0 {
            if let Err(error) = self.write(&batch) {
                eprintln!("{} logins are not written: {error}", batch.len());
                // Their senders are dropped, which is the answer "no".
                batch.clear();
            }
            for login in batch.drain(..) {
                // A caller that has hung up does not wait.
                let _ = login.durable.send(());
            }
        }
    }

    fn write(&self, batch: &[Login]) -> Result<(), redb::Error> {
        let mut changed = BTreeMap::<u32, Span>::new();
        for &Login { cvr, time, .. } in batch {
            let before = changed.get(&cvr).copied().or_else(|| self.spans.find(cvr));
            let span = before.map_or(Span { first: time, last: time }, |span| Span {
                first: span.first.min(time),
                last: span.last.max(time),
            });
            changed.insert(cvr, span);
        }
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut table = transaction.open_table(TABLE)?;
            for (cvr, span) in &changed {
                table.insert(cvr, (span.first, span.last))?;
            }
        }
        transaction.commit()?;
        self.spans.0.write().unwrap_or_else(PoisonError::into_inner).extend(changed);
        Ok(())
    }
}
