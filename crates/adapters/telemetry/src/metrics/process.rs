//! What the operating system knows about this process, read from `/proc` at each scrape. The names are those that
//! Prometheus' own libraries use, so ready-made dashboards fit.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};

/// Units of processor time a second in `/proc`: fixed at 100 in what Linux shows to programs.
const TICKS_PER_SECOND: f64 = 100.0;

const CPU: (&str, &str) = ("process_cpu_seconds_total", "Processor time spent, in seconds.");
const RESIDENT: (&str, &str) = ("process_resident_memory_bytes", "Memory in use, in bytes.");
const VIRTUAL: (&str, &str) = ("process_virtual_memory_bytes", "Address space in use, in bytes.");
const OPEN_FDS: (&str, &str) = ("process_open_fds", "Open files and sockets.");
const MAX_FDS: (&str, &str) = ("process_max_fds", "The most files and sockets that may be open.");
const THREADS: (&str, &str) = ("process_threads", "Threads.");
const START: (&str, &str) = ("process_start_time_seconds", "When the process started, in seconds since 1970.");

/// Reads the figures. One that cannot be read is left out rather than shown as 0.
#[derive(Debug)]
pub(crate) struct ProcessCollector {
    descriptions: Vec<Desc>,
}

impl ProcessCollector {
    pub(crate) fn new() -> prometheus::Result<Self> {
        let mut descriptions: Vec<Desc> = Counter::new(CPU.0, CPU.1)?.desc().into_iter().cloned().collect();
        for (name, help) in [RESIDENT, VIRTUAL, OPEN_FDS, MAX_FDS, THREADS, START] {
            descriptions.extend(Gauge::new(name, help)?.desc().into_iter().cloned());
        }
        Ok(Self { descriptions })
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let stat = Stat::parse(&read("/proc/self/stat"));
        let status = read("/proc/self/status");
        let gauges = [
            (RESIDENT, number_after(&status, "VmRSS:").map(|kibibytes| kibibytes * 1024.0)),
            (VIRTUAL, number_after(&status, "VmSize:").map(|kibibytes| kibibytes * 1024.0)),
            (OPEN_FDS, open_files()),
            (MAX_FDS, number_after(&read("/proc/self/limits"), "Max open files")),
            (THREADS, number_after(&status, "Threads:")),
            (START, started(stat.as_ref(), &read("/proc/stat"))),
        ];
        let cpu = stat.and_then(|stat| counter(CPU, stat.cpu_seconds));
        let gauges = gauges.into_iter().filter_map(|(metric, value)| gauge(metric, value?));
        cpu.into_iter().chain(gauges).flatten().collect()
    }
}

/// A counter of this moment: the total is the operating system's, so there is nothing to keep between scrapes.
fn counter((name, help): (&str, &str), total: f64) -> Option<Vec<MetricFamily>> {
    let counter = Counter::new(name, help).ok()?;
    counter.inc_by(total);
    Some(counter.collect())
}

fn gauge((name, help): (&str, &str), value: f64) -> Option<Vec<MetricFamily>> {
    let gauge = Gauge::new(name, help).ok()?;
    gauge.set(value);
    Some(gauge.collect())
}

/// The part of `/proc/self/stat` that is used.
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    /// Since the machine started.
    started_seconds: f64,
}

impl Stat {
    /// Fields are counted from 1 (proc_pid_stat(5)). The second is the program's name in parentheses and may hold
    /// anything, so counting begins after the last parenthesis, with the third.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let seconds =
            |field: usize| -> Option<f64> { Some(fields.get(field - 3)?.parse::<f64>().ok()? / TICKS_PER_SECOND) };
        Some(Self { cpu_seconds: seconds(14)? + seconds(15)?, started_seconds: seconds(22)? })
    }
}

fn started(stat: Option<&Stat>, machine: &str) -> Option<f64> {
    Some(number_after(machine, "btime")? + stat?.started_seconds)
}

/// The number behind the label at the beginning of a line. The limits file may say `unlimited`, which is none.
fn number_after(text: &str, label: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    line.split_whitespace().next()?.parse().ok()
}

fn open_files() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // The directory itself was open while it was counted.
    Some(open.saturating_sub(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_program_name_does_not_shift_the_fields() {
        let text = "7 (a) b) (c) S 1 7 7 0 -1 4194560 9 0 0 0 250 50 0 0 20 0 4 0 12345 99 1 2";
        assert_eq!(Stat::parse(text), Some(Stat { cpu_seconds: 3.0, started_seconds: 123.45 }));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn numbers_are_found_by_the_beginning_of_their_line() {
        let text = "Name:\tx VmRSS: 1\nVmRSS:\t  2048 kB\nMax open files   unlimited   unlimited  files\n";
        assert_eq!(number_after(text, "VmRSS:"), Some(2048.0));
        assert_eq!(number_after(text, "Max open files"), None);
        assert_eq!(number_after(text, "Threads:"), None);
    }
}
