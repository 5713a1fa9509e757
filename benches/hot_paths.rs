//! The hot paths by themselves: `cargo bench`. For finding where time goes; what the service must reach is measured
//! through its door, by `benchmarks/run`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement may stop at the first surprise")]

mod fixed;

use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::Write;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt;
use futures_util::future::join_all;
use virksomhedslogin::testing::Timestamp;
use virksomhedslogin::testing::interchange;
use virksomhedslogin::testing::{Method, OrganisationType};
use virksomhedslogin::testing::{Options, Store};

/// How many companies the store holds.
const RECORDS: u32 = 100_000;
/// How many writes wait together.
const TOGETHER: u32 = 64;

fn rows(criterion: &mut Criterion) {
    let records: Vec<_> = (0..1_000).map(fixed::record).collect();
    let mut text = Vec::with_capacity(records.len() * interchange::OBJECT);
    let mut group = criterion.benchmark_group("list");
    group.throughput(Throughput::Elements(records.len() as u64));
    group.bench_function("write 1,000 rows", |bencher| {
        bencher.iter(|| {
            text.clear();
            records.iter().for_each(|record| interchange::write_object(&mut text, black_box(record)));
            black_box(&text);
        });
    });
    group.finish();
}

fn tokens(criterion: &mut Criterion) {
    let authenticator = fixed::authenticator();
    let ask = || authenticator.authenticate(black_box(fixed::token())).now_or_never().unwrap().unwrap();
    let mut group = criterion.benchmark_group("token");
    group.bench_function("seen before", |bencher| bencher.iter(ask));
    group.bench_function("new, RS256", |bencher| {
        bencher.iter_batched(|| authenticator.forget_verified(), |()| ask(), BatchSize::PerIteration);
    });
    group.finish();
}

fn access(criterion: &mut Criterion) {
    let (access_table, acting) = (fixed::access_table(), fixed::acting());
    criterion.bench_function("access/decide", |bencher| {
        bencher.iter(|| {
            access_table.decide(black_box(Method::GetLogin), OrganisationType::Star, black_box(acting))
        });
    });
}

fn store(criterion: &mut Criterion) {
    // Beside the build, not in the system's directory for temporary files, which may be memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Store::open(&Options::new(directory.path().join("store"), Duration::from_secs(5))).unwrap();
    store.import((0..RECORDS).map(fixed::record), |_| {}).unwrap();

    let mut group = criterion.benchmark_group("register");
    let mut number = 0;
    let mut next = move || {
        number = (number + 7_919) % RECORDS;
        fixed::record(number).cvr
    };
    group.bench_function("get", |bencher| {
        bencher.iter(|| store.get(black_box(next())).now_or_never().unwrap().unwrap());
    });
    group.bench_function("list (a snapshot)", |bencher| bencher.iter(|| store.list_blocking().unwrap()));
    group.finish();

    let runtime = actix_rt::Runtime::new().unwrap();
    // Ever later times: a login that says nothing new would not reach the disk.
    let mut millis = 1_764_000_000_000;
    let mut later = move || {
        millis += 1;
        Timestamp::from_millis(millis).unwrap()
    };
    let mut group = criterion.benchmark_group("durable");
    group.sample_size(20);
    group.bench_function("one write", |bencher| {
        bencher.iter(|| runtime.block_on(store.record(next(), later())).unwrap());
    });
    group.throughput(Throughput::Elements(TOGETHER.into()));
    group.bench_function("64 writes at once", |bencher| {
        bencher.iter(|| {
            let writes: Vec<_> = (0..TOGETHER).map(|_| store.record(next(), later())).collect();
            runtime.block_on(join_all(writes)).into_iter().for_each(Result::unwrap);
        });
    });
    group.finish();

    // The least that durability costs on this disk.
    let mut file = OpenOptions::new().append(true).create(true).open(directory.path().join("bare")).unwrap();
    let mut group = criterion.benchmark_group("durable");
    group.sample_size(20);
    group.bench_function("append and fdatasync, bare", |bencher| {
        bencher.iter(|| {
            file.write_all(&[7; 64]).unwrap();
            file.sync_data().unwrap();
        });
    });
    group.finish();
}

criterion_group!(hot_paths, rows, tokens, access, store);
criterion_main!(hot_paths);
