//! What the figures were taken on.

use std::fs;

/// Processors, memory and kernel, in one line.
pub(super) fn described() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    line(cores, &read("/proc/cpuinfo"), &read("/proc/meminfo"), &read("/proc/sys/kernel/osrelease"))
}

fn line(cores: usize, cpuinfo: &str, meminfo: &str, release: &str) -> String {
    let field = |text: &str, name: &str| {
        let (_, value) = text.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.trim() == name)?;
        Some(value.trim().to_owned())
    };
    let model = field(cpuinfo, "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let mut parts = vec![format!("{cores} × {model}")];
    let kilobytes = field(meminfo, "MemTotal").and_then(|total| total.split(' ').next()?.parse::<u64>().ok());
    parts.extend(kilobytes.map(|kilobytes| format!("{} GiB", kilobytes / (1 << 20))));
    parts.push(format!("{} {}", std::env::consts::OS, release.trim()).trim().to_owned());
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_a_line() {
        let cpuinfo = "processor\t: 0\nmodel name\t: AMD EPYC\nprocessor\t: 1\nmodel name\t: AMD EPYC\n";
        let text = line(2, cpuinfo, "MemTotal:       24683520 kB\n", "6.1.0\n");
        assert!(text.starts_with("2 × AMD EPYC, 23 GiB, "), "{text}");
        assert!(text.ends_with(" 6.1.0"), "{text}");
        assert!(line(4, "", "", "").starts_with("4 × "), "what is not told is left out");
    }
}
