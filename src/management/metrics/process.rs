//! What the kernel knows of this process, under the names that all Prometheus clients use.

use std::fmt;

use procfs::process::{LimitValue, Process};
use procfs::{page_size, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use rustix::time::{ClockId, clock_gettime};

use super::encoder::MetricsEncoder;

/// When the machine was booted, as Unix time. `/proc/stat` says so too, but a service manager may hide it from a service
/// (`ProcSubset=pid`).
#[expect(clippy::cast_precision_loss, reason = "a float is what Prometheus reads")]
fn booted() -> f64 {
    let seconds = |clock| {
        let now = clock_gettime(clock);
        now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
    };
    seconds(ClockId::Realtime) - seconds(ClockId::Boottime)
}

/// Reads `/proc/self` when it is encoded; encodes nothing where that is not mounted.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    #[expect(clippy::cast_precision_loss, reason = "a float is what Prometheus reads")]
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read = Process::myself().and_then(|process| Ok((process.stat()?, process)));
        let Ok((stat, process)) = read.inspect_err(|error| log::debug!("/proc cannot be read: {error}"))
        else {
            return Ok(());
        };
        let ticks = ticks_per_second() as f64;
        let cpu = (stat.utime + stat.stime) as f64 / ticks;
        let start = booted() + stat.starttime as f64 / ticks;
        let open_fds = process.fd_count().ok().map(|count| count as u64);
        let max_fds = process.limits().ok().and_then(|limits| match limits.max_open_files.soft_limit {
            LimitValue::Value(limit) => Some(limit),
            LimitValue::Unlimited => None,
        });
        let mut out = MetricsEncoder(encoder);
        out.counter("process_cpu_seconds", "User and system CPU time.", Some(cpu))?;
        out.gauge("process_resident_memory_bytes", "Memory in use.", Some(stat.rss * page_size()))?;
        out.gauge("process_virtual_memory_bytes", "Address space in use.", Some(stat.vsize))?;
        out.gauge("process_open_fds", "Open file descriptors.", open_fds)?;
        out.gauge("process_max_fds", "File descriptors that may be open.", max_fds)?;
        out.gauge("process_start_time_seconds", "Start of the process, as Unix time.", Some(start))?;
        out.gauge("process_threads", "Threads of the process.", Some(stat.num_threads))
    }
}
