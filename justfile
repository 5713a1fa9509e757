# What can be run here. Recipes after `all` need what `.ci/install` installs.

# List the recipes
[private]
default:
    @just --list --unsorted

# Run the service on loopback and print curl lines with tokens
dev *ARGS:
    cargo run -- dev {{ ARGS }}

# Format the sources
format:
    cargo fmt

# Format check and clippy
lint:
    cargo fmt --check
    cargo clippy --locked --all-targets -- -D warnings
    cargo clippy --locked --bench instructions -- -D warnings

# All tests of cargo, or those whose name contains NAME
test *NAME:
    cargo test {{ NAME }}

# Tests of the API on the embedded store
test-embedded *NAME:
    cargo test --test api {{ NAME }} -- --skip on_postgres

# Tests of the API on a PostgreSQL server at URL, as a role that may create databases
test-postgres URL *NAME:
    VIRKSOMHEDSLOGIN_TEST_STORE={{ URL }} cargo test --test api {{ NAME }} -- --skip on_postgresql

# Everything that must hold before a change lands, as `.ci/run`
all: forget side-by-side

[private]
forget:
    rm -rf .ci/out/steps && mkdir -p .ci/out/steps

# What is built for release takes only what the others leave of two cores
[parallel]
[private]
side-by-side: release-builds checks

[private]
release-builds:
    nice -n 19 .ci/lane release instructions

[private]
checks: quick-checks waiting-and-computing

[private]
quick-checks:
    .ci/lane lint doc deny advisories test

[parallel]
[private]
waiting-and-computing: waiting computing

# What has time limits, one at a time
[private]
waiting:
    .ci/lane durability postgres postgres18 load failover openapi

# What changes the machine is last: no two of these may run at the same time
[private]
computing:
    nice -n 5 .ci/lane on-postgres decoders clients generated-clients metrics httplint issuers browser kubernetes proxy fuzz scripts \
        debian docker systemd logrotate

# The release build
release:
    cargo build --release --locked --bin virksomhedslogin

# Documentation of the crate, without warnings
doc:
    RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items

# Bans, licences and sources of all crates (deny.toml)
deny:
    target/tools/bin/cargo-deny --locked --all-features check bans licenses sources

# Cargo.lock against advisories.toml, and against RustSec's database where it is
advisories:
    .ci/advisories

# Durability, the long run: kill -9, power cuts, damage, failing disks
durability:
    RUST_TEST_THREADS=2 VIRKSOMHEDSLOGIN_LONG=1 cargo test --locked --test durability -- --nocapture

# The shared store, the long run: instances, database and standby killed under load, through a pooler
postgres:
    RUST_TEST_THREADS=2 VIRKSOMHEDSLOGIN_LONG=1 cargo test --locked --test postgres -- --nocapture

# All tests of the API and of the commands on PostgreSQL, of which `cargo test` runs a few
on-postgres:
    RUST_TEST_THREADS=2 VIRKSOMHEDSLOGIN_LONG=1 cargo test --locked --test api --test cli on_postgresql

# The shared store on PostgreSQL 18, whose programs come as a Python package, a short run
postgres18 *ARGS:
    e2e/postgres18/run {{ ARGS }}

# A million random inputs to the reader of tokens (five properties, 200,000 each)
fuzz:
    AUTH_FUZZ_CASES=200000 cargo test --locked --lib auth::tests::reader

# Instructions of the hot paths, against their limits
instructions:
    benches/instructions

# Syntax of the benchmark's scripts
scripts:
    for script in benchmarks/*.py benchmarks/run benchmarks/capacity benchmarks/peers/check benches/instructions; do python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])' "$script" || exit; done

# The compressed list, unpacked by other programs
decoders:
    e2e/decoders/run

# The clients of examples/polling, which fetch only what changed
clients:
    e2e/clients/run

# Clients that generators make from the OpenAPI document, and its linters
generated-clients:
    e2e/generated/run

# Metrics, alert rules and dashboard against the running service
metrics:
    e2e/metrics/run

# The OpenAPI document, and the running service against it
openapi:
    e2e/openapi/run

# An answer of every kind, read by httplint
httplint:
    e2e/httplint/run

# Tokens and keys of two real issuers: three methods, algorithms, rotation, an outage
issuers:
    e2e/issuers/run

# Slow clients beside good ones, and HTTP/1.0 beside 1.1
load:
    e2e/load/run

# Failover by pg_auto_failover and Patroni, and replaced instances, under load (--rounds 5: every fault, five times)
failover *ARGS:
    e2e/failover/run {{ ARGS }}

# The page and Swagger UI in Chromium (pictures in .ci/out/browser)
browser:
    e2e/browser/run

# The systemd units: systemd's own check, and the service's system calls
systemd:
    deploy/tests/systemd

# The contract through nginx, Caddy, HAProxy and Apache
proxy:
    e2e/proxy/run

# The audit file, rotated under load
logrotate:
    deploy/tests/logrotate

# The Debian package: installed, upgraded, removed, purged
debian:
    deploy/tests/debian

# The root file system of the image
docker:
    deploy/tests/docker --binary target/release/virksomhedslogin

# The overlays of deploy/kubernetes, rendered, against Kubernetes' schemas
kubernetes:
    deploy/tests/kubernetes/run

# Not in `all`: two release builds in two places, byte for byte (ten minutes)
reproducible:
    deploy/tests/reproducible

# Not in `all`: the service beside its peers, in one run
benchmark *ARGS:
    benchmarks/run {{ ARGS }}

# Not in `all`: what a company costs from 100,000 to 30 million of them; makes 5 GB of stores at first
capacity *ARGS:
    benchmarks/capacity {{ ARGS }}

# Not in `all`: that the peers of the benchmark do the whole work
check-peers *ARGS:
    benchmarks/peers/check {{ ARGS }}
