//! What a run **uses**: the agents' CPU time as the engine measured it, and what the machine's processors did meanwhile.

use std::time::Instant;

use crate::capture::Record;
use crate::store::Usage;

/// Ticks a second in /proc/stat. The kernel's `USER_HZ`, which is 100 on every architecture that Linux still has.
const TICKS: f64 = 100.0;

/// Measures from its making to [`Meter::read`].
#[derive(Debug)]
pub struct Meter {
    began: Instant,
    processors: Option<Ticks>,
    agent_cpu: f64,
}

/// What the machine's processors have done since it was started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    idle: u64,
}

impl Meter {
    /// Begins to measure.
    #[must_use]
    pub fn start() -> Self {
        Self { began: Instant::now(), processors: Ticks::now(), agent_cpu: 0.0 }
    }

    /// Counts a cell's CPU time.
    pub fn count(&mut self, record: &Record) {
        if let Ok(capture) = &record.outcome {
            self.agent_cpu += capture.cpu.map_or(0.0, crate::capture::Seconds::as_f64);
        }
    }

    /// What was used so far. Overhead and idle are 0 where the machine does not tell.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "ticks of a run fit in 53 bits")]
    pub fn read(&self) -> Usage {
        let (busy, idle) = match (self.processors, Ticks::now()) {
            (Some(then), Some(now)) => {
                (now.busy.saturating_sub(then.busy) as f64 / TICKS, now.idle.saturating_sub(then.idle) as f64 / TICKS)
            }
            _ => (0.0, 0.0),
        };
        let milliseconds = |seconds: f64| (seconds * 1e3).round() / 1e3;
        Usage {
            agent_cpu: milliseconds(self.agent_cpu),
            overhead: milliseconds((busy - self.agent_cpu).max(0.0)),
            idle: milliseconds(idle),
            wall: milliseconds(self.began.elapsed().as_secs_f64()),
            preparing: 0.0,
        }
    }
}

impl Ticks {
    fn now() -> Option<Self> {
        Self::parse(&std::fs::read_to_string("/proc/stat").ok()?)
    }

    /// Reads the first line: `cpu  user nice system idle iowait irq softirq steal guest guest_nice`. Guest time is
    /// already in user; stolen time was nobody's here.
    fn parse(stat: &str) -> Option<Self> {
        let mut fields = stat.lines().next()?.strip_prefix("cpu ")?.split_ascii_whitespace();
        let mut next = || fields.next().map_or(Some(0), |field| field.parse::<u64>().ok());
        let (user, nice, system, idle, iowait, irq, softirq) =
            (next()?, next()?, next()?, next()?, next()?, next()?, next()?);
        Some(Self { busy: user + nice + system + irq + softirq, idle: idle + iowait })
    }
}

/// One line for the end of a run:
/// `agent CPU 312.4 s · engine overhead 21.3 s · idle 9.8 s · wall 171.8 s = 1.10 × (agent CPU ÷ 2 cores)`.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "a number of processors")]
pub fn line(usage: &Usage, cores: usize) -> String {
    let ideal = usage.agent_cpu / cores.max(1) as f64;
    let ratio = if ideal > 0.0 {
        format!(" = {:.2} × (agent CPU ÷ {cores} core{})", usage.wall / ideal, if cores == 1 { "" } else { "s" })
    } else {
        String::new()
    };
    format!(
        "agent CPU {:.1} s · engine overhead {:.1} s · idle {:.1} s · wall {:.1} s{ratio} · preparing {:.1} s",
        usage.agent_cpu, usage.overhead, usage.idle, usage.wall, usage.preparing
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_line_is_read() {
        let ticks = Ticks::parse("cpu  100 20 30 400 50 6 7 8 9 10\ncpu0 1 1 1 1\n").unwrap();
        assert_eq!(ticks, Ticks { busy: 163, idle: 450 });
        assert_eq!(Ticks::parse("intr 5"), None);
        assert_eq!(Ticks::parse("cpu  1 two 3"), None);
    }

    #[test]
    fn this_machine_tells_and_time_passes() {
        let meter = Meter::start();
        let began = Instant::now();
        let mut sum = 0_u64;
        while began.elapsed().as_millis() < 60 {
            sum = sum.wrapping_add(std::hint::black_box(1));
        }
        let usage = meter.read();
        assert!(usage.wall >= 0.06, "{usage:?}");
        assert!(usage.overhead + usage.idle > 0.0, "{usage:?} {sum}");
    }

    #[test]
    fn the_line_says_the_ratio() {
        let usage = Usage { agent_cpu: 100.0, overhead: 5.0, idle: 1.0, wall: 55.0, preparing: 2.0 };
        assert!(line(&usage, 2).contains("wall 55.0 s = 1.10 × (agent CPU ÷ 2 cores)"), "{}", line(&usage, 2));
        assert!(!line(&Usage::default(), 2).contains('×'));
    }
}
