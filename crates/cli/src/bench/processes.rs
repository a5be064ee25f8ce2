//! CPU and memory of processes, from /proc.

use std::fs;

use crate::failure::Failure;

/// Linux counts CPU in hundredths of a second for everybody outside of the kernel.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds that these processes have used, in user and kernel, all threads.
pub(crate) fn cpu_seconds(pids: &[u32]) -> Result<f64, Failure> {
    let mut ticks = 0;
    for pid in pids {
        ticks += cpu_ticks(*pid)?;
    }
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

fn cpu_ticks(pid: u32) -> Result<u64, Failure> {
    let stat = read(pid, "stat")?;
    // The name, in parentheses, may hold anything; user and system time are the 14th and 15th field.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut fields = fields.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    match (next(), next()) {
        (Some(user), Some(system)) => Ok(user + system),
        _ => Err(Failure::new(format!("/proc/{pid}/stat is not as expected"))),
    }
}

/// Memory of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident now.
    pub(crate) now_bytes: u64,
    /// Resident at most.
    pub(crate) peak_bytes: u64,
}

/// Memory that a process takes.
pub(crate) fn memory(pid: u32) -> Result<Memory, Failure> {
    let status = read(pid, "status")?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
        Some(kibibytes * 1024)
    };
    match (field("VmRSS:"), field("VmHWM:")) {
        (Some(now_bytes), Some(peak_bytes)) => Ok(Memory {
            now_bytes,
            peak_bytes,
        }),
        _ => Err(Failure::new(format!(
            "/proc/{pid}/status is not as expected"
        ))),
    }
}

fn read(pid: u32, file: &str) -> Result<String, Failure> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).map_err(|error| {
        Failure::new(format!("{path} cannot be read: {error}"))
            .help("CPU and memory are known for processes of this machine only, on Linux")
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
    use super::*;

    #[test]
    fn this_process_uses_cpu_and_memory() {
        let pid = std::process::id();
        let before = cpu_seconds(&[pid]).unwrap();
        let mut sum = 0_u64;
        while cpu_seconds(&[pid]).unwrap() < before + 0.02 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let memory = memory(pid).unwrap();
        assert!(
            memory.now_bytes > 0 && memory.peak_bytes >= memory.now_bytes,
            "{memory:?}"
        );
    }
}
