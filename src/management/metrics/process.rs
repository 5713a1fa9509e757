//! What the kernel knows of this process, under the names that all Prometheus clients use.

use std::fmt;

use procfs::process::{LimitValue, Process as Kernel};
use procfs::{ProcError, page_size, ticks_per_second};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use rustix::time::{ClockId, clock_gettime};

use super::encoder::MetricsEncoder;

/// The content of `/proc/self` at one time.
#[derive(Debug)]
pub(super) struct Process {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    open_fds: Option<u64>,
    max_fds: Option<u64>,
    start_seconds: f64,
    threads: i64,
}

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

impl Process {
    /// `None` where `/proc` is not mounted.
    pub(super) fn read() -> Option<Self> {
        Self::try_read().inspect_err(|error| log::debug!("/proc cannot be read: {error}")).ok()
    }

    #[expect(clippy::cast_precision_loss, reason = "a float is what Prometheus reads")]
    fn try_read() -> Result<Self, ProcError> {
        let process = Kernel::myself()?;
        let stat = process.stat()?;
        let ticks = ticks_per_second() as f64;
        let max_fds = process.limits().ok().and_then(|limits| match limits.max_open_files.soft_limit {
            LimitValue::Value(limit) => Some(limit),
            LimitValue::Unlimited => None,
        });
        Ok(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss * page_size(),
            virtual_bytes: stat.vsize,
            open_fds: process.fd_count().ok().and_then(|count| u64::try_from(count).ok()),
            max_fds,
            start_seconds: booted() + stat.starttime as f64 / ticks,
            threads: stat.num_threads,
        })
    }
}

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = MetricsEncoder(encoder);
        out.counter("process_cpu_seconds", "User and system CPU time.", Some(self.cpu_seconds))?;
        out.gauge("process_resident_memory_bytes", "Memory in use.", Some(self.resident_bytes))?;
        out.gauge("process_virtual_memory_bytes", "Address space in use.", Some(self.virtual_bytes))?;
        out.gauge("process_open_fds", "Open file descriptors.", self.open_fds)?;
        out.gauge("process_max_fds", "File descriptors that may be open.", self.max_fds)?;
        out.gauge(
            "process_start_time_seconds",
            "Start of the process, as Unix time.",
            Some(self.start_seconds),
        )?;
        out.gauge("process_threads", "Threads of the process.", Some(self.threads))
    }
}
