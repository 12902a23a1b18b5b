//! A slot's **account**: a control group of its own under which the engine puts the slot's agents, one after the other.
//! It outlives them, so that what a cell used can be read once its container is gone.
//!
//! Only where the engine is on this machine. The names are few and used again (each is held by a lock while in use), so
//! that a user who may not remove control groups does not pile them up.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connection::DockerFacts;

/// Where control groups are mounted.
const MOUNT: &str = "/sys/fs/cgroup";

/// How many names are tried: more than one machine has runs at once.
const NAMES: usize = 512;

/// What a slot's agents have used, all of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// CPU time.
    pub(super) cpu: Option<Duration>,
    /// The most processes that there ever were at once, the engine's own two or three included.
    pub(super) processes: Option<u64>,
}

impl Usage {
    /// CPU time since `before`. The group may have been made anew in between.
    pub(super) fn cpu_since(self, before: Self) -> Option<Duration> {
        let (now, then) = (self.cpu?, before.cpu.unwrap_or_default());
        Some(now.checked_sub(then).unwrap_or(now))
    }

    /// Whether there were `limit` processes at once now, and never before.
    pub(super) fn reached(self, before: Self, limit: u32) -> bool {
        let limit = u64::from(limit);
        self.processes.is_some_and(|most| most >= limit) && before.processes.is_none_or(|most| most < limit)
    }
}

/// A slot's control group.
#[derive(Debug)]
pub(super) struct Account {
    mount: PathBuf,
    name: String,
    driver: Driver,
    // Held while the name is ours.
    _lock: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Driver {
    Cgroupfs,
    Systemd,
}

impl Account {
    /// Takes a name that nobody uses and whose group never had `limit` processes. `None` where the engine's control groups
    /// cannot be seen from here.
    pub(super) fn open(facts: &DockerFacts, local: bool, limit: u32) -> Option<Self> {
        // A rootless engine may make groups only below those delegated to it.
        if !local || facts.rootless {
            return None;
        }
        let driver = match facts.cgroup_driver.as_str() {
            "cgroupfs" => Driver::Cgroupfs,
            "systemd" => Driver::Systemd,
            _ => return None,
        };
        let user = nix::unistd::geteuid().as_raw();
        let locks = std::env::temp_dir().join(format!("parallax-{user}"));
        Self::take(Path::new(MOUNT), &locks, user, driver, limit)
    }

    fn take(mount: &Path, locks: &Path, user: u32, driver: Driver, limit: u32) -> Option<Self> {
        fs_err::create_dir_all(locks).ok()?;
        (0..NAMES).find_map(|number| {
            let lock =
                File::options().create(true).append(true).open(locks.join(format!("account-{number}.lock"))).ok()?;
            lock.try_lock().ok()?;
            let name = match driver {
                Driver::Cgroupfs => format!("parallax_{user}_{number}"),
                // Dashes would nest slices.
                Driver::Systemd => format!("parallax_{user}_{number}.slice"),
            };
            let account = Self { mount: mount.to_owned(), name, driver, _lock: lock };
            if account.is_spent(limit) {
                account.remove();
            }
            (!account.is_spent(limit)).then_some(account)
        })
    }

    /// Whether the group once had so many processes that it cannot tell when the limit is reached anew: peaks never fall.
    pub(super) fn is_spent(&self, limit: u32) -> bool {
        self.usage().processes.is_some_and(|most| most >= u64::from(limit))
    }

    /// What the engine calls the group.
    pub(super) fn parent(&self) -> String {
        match self.driver {
            Driver::Cgroupfs => format!("/{}", self.name),
            Driver::Systemd => self.name.clone(),
        }
    }

    /// What its members have used until now. All zero before the first one.
    pub(super) fn usage(&self) -> Usage {
        let unified = self.mount.join(&self.name);
        let of = |controller: &str, file: &str| number(&self.mount.join(controller).join(&self.name).join(file));
        let cpu = stat(&unified.join("cpu.stat"), "usage_usec").map(Duration::from_micros).or_else(|| {
            ["cpuacct", "cpu,cpuacct"].iter().find_map(|name| of(name, "cpuacct.usage")).map(Duration::from_nanos)
        });
        let processes = number(&unified.join("pids.peak")).or_else(|| of("pids", "pids.peak"));
        Usage { cpu, processes }
    }

    /// Removes the group where that is permitted. Its members must be gone.
    pub(super) fn remove(&self) {
        if self.driver == Driver::Systemd {
            // The group is a unit of systemd, which must be told; without its rights nothing happens.
            let told = std::process::Command::new("systemctl")
                .args(["--quiet", "stop", &self.name])
                .stdin(std::process::Stdio::null())
                .stdout(std::process::Stdio::null())
                .stderr(std::process::Stdio::null())
                .status();
            tracing::debug!(group = self.name, ?told, "stopped a slice");
            return;
        }
        remove_below(&self.mount, &self.name);
    }
}

/// Removes the group of this name from the unified tree and from every controller's. Says whether there was one and it is gone.
fn remove_below(mount: &Path, name: &str) -> bool {
    let mut removed = false;
    let controllers = std::fs::read_dir(mount).into_iter().flatten().flatten().map(|entry| entry.path());
    for folder in controllers.map(|controller| controller.join(name)).chain([mount.join(name)]) {
        if folder.is_dir() {
            match std::fs::remove_dir(&folder) {
                Ok(()) => removed = true,
                Err(error) => tracing::debug!(folder = %folder.display(), %error, "a control group stays"),
            }
        }
    }
    removed
}

/// Removes every group of ours that no run holds. Says how many.
pub(super) fn sweep() -> usize {
    let user = nix::unistd::geteuid().as_raw();
    let locks = std::env::temp_dir().join(format!("parallax-{user}"));
    let groups = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.starts_with(&format!("parallax_{user}_"))).collect()
    };
    let mount = Path::new(MOUNT);
    let folders = std::fs::read_dir(mount).into_iter().flatten().flatten().map(|entry| entry.path());
    let names: std::collections::BTreeSet<String> =
        folders.chain([mount.to_owned()]).flat_map(|folder| groups(&folder)).collect();
    let mut removed = 0;
    for name in names {
        let number = name.trim_end_matches(".slice").rsplit('_').next().unwrap_or_default().to_owned();
        // Held until the group is gone, so that nobody takes its name meanwhile.
        let lock = File::options().append(true).open(locks.join(format!("account-{number}.lock")));
        if lock.as_ref().is_ok_and(|lock| lock.try_lock().is_err()) {
            continue;
        }
        // Slices are systemd's to remove.
        removed += usize::from(name.strip_suffix(".slice").is_none() && remove_below(mount, &name));
    }
    removed
}

fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn stat(path: &Path, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lay(mount: &Path, path: &str, text: &str) {
        let path = mount.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn usage_is_read_from_either_version() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two, locks) = (folder.path().join("1"), folder.path().join("2"), folder.path().join("locks"));
        let first = Account::take(&one, &locks, 7, Driver::Cgroupfs, 64).unwrap();
        assert_eq!(first.parent(), "/parallax_7_0");
        assert_eq!(first.usage(), Usage::default());
        lay(&one, "cpuacct/parallax_7_0/cpuacct.usage", "2500000\n");
        lay(&one, "pids/parallax_7_0/pids.peak", "9\n");
        assert_eq!(first.usage(), Usage { cpu: Some(Duration::from_micros(2500)), processes: Some(9) });

        let second = Account::take(&two, &locks, 7, Driver::Systemd, 64).unwrap();
        assert_eq!(second.parent(), "parallax_7_1.slice", "the first name is held");
        lay(&two, "parallax_7_1.slice/cpu.stat", "usage_usec 1234\nuser_usec 1000\n");
        assert_eq!(second.usage().cpu, Some(Duration::from_micros(1234)));
    }

    #[test]
    fn a_name_with_an_old_peak_is_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        lay(folder.path(), "parallax_7_0/pids.peak", "512");
        let account = Account::take(folder.path(), &folder.path().join("locks"), 7, Driver::Cgroupfs, 64).unwrap();
        assert_eq!(account.parent(), "/parallax_7_1");
        drop(account);
    }

    #[test]
    fn a_limit_counts_only_when_it_is_reached_anew() {
        let peak = |processes| Usage { cpu: None, processes };
        assert!(peak(Some(64)).reached(peak(Some(9)), 64));
        assert!(peak(Some(64)).reached(peak(None), 64));
        assert!(!peak(Some(64)).reached(peak(Some(64)), 64));
        assert!(!peak(Some(63)).reached(peak(Some(9)), 64));
        assert!(!peak(None).reached(peak(None), 64));
    }

    #[test]
    fn a_group_made_anew_counts_from_zero() {
        let used = |micros| Usage { cpu: Some(Duration::from_micros(micros)), processes: None };
        assert_eq!(used(50).cpu_since(used(20)), Some(Duration::from_micros(30)));
        assert_eq!(used(5).cpu_since(used(20)), Some(Duration::from_micros(5)));
        assert_eq!(used(5).cpu_since(Usage::default()), Some(Duration::from_micros(5)));
        assert_eq!(Usage::default().cpu_since(used(5)), None);
    }
}
