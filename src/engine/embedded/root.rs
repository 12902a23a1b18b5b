//! A pod's **root**: a fresh temporary file system in which the host's program folders and the target stand read-only,
//! and nothing else of the host.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{Gid, Uid, pivot_root};

use super::mounts;
use super::spec::{PodSpec, Standing, TargetMount};
use crate::engine::pod::{PROGRAM_FOLDERS, TARGET_ROOT};

/// Files of the host's `/etc` that programs need to start. Never accounts, names, resolvers, profiles or keys.
const ETC_FILES: [&str; 11] = [
    "ld.so.cache",
    "ld.so.conf",
    "gai.conf",
    "protocols",
    "services",
    "mime.types",
    "os-release",
    "debian_version",
    "lsb-release",
    "ssl/openssl.cnf",
    "pki/tls/openssl.cnf",
];

/// Folders of the host's `/etc` likewise; they hold only links and loader paths.
const ETC_FOLDERS: [&str; 3] = ["alternatives", "ld.so.conf.d", "crypto-policies"];

/// How names and accounts are looked up: from files, then from the pod's DNS, whatever services the host uses.
const NSSWITCH: &str = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n\
                        protocols: files\nservices: files\nethers: files\nrpc: files\n";

/// Device nodes of the host that a pod has.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Parts of `/proc` that tell of the machine, hidden as Docker hides them.
const MASKED: [&str; 10] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
];

/// Parts of `/proc` that are read-only, as Docker has them.
const PROC_READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Folders that programs expect, empty.
const SKELETON: [&str; 12] =
    ["/home", "/opt", "/root", "/run", "/srv", "/mnt", "/media", "/sys", "/var", "/var/lib", "/var/log", "/var/cache"];

/// Where the host's root stands while the pod's is built.
const OLD: &str = "/.old";

/// The folder that hides a masked folder, and the file that hides a masked file.
const EMPTY: &str = "/.empty";

/// Builds the root and moves into it. The host's files are out of reach when this returns.
///
/// Also gives the sysctl folder of the pod's user namespace, opened before `/proc/sys` became read-only.
pub(super) fn build(spec: &PodSpec) -> Result<fs::File> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>)
        .context("making mounts private")?;
    // Any folder will do to stand on: once pivoted, the new root is nowhere else.
    let stand = "/usr";
    // Inodes are bounded too: a million empty files cost a gigabyte of kernel memory.
    mounts::tmpfs(stand, &format!("mode=0755,nr_inodes=200k,size={}", spec.memory_bytes.max(64 << 20)))?;
    std::env::set_current_dir(stand).context("entering the new root")?;
    fs::create_dir(".old").context("making room for the old root")?;
    pivot_root(".", ".old").context("changing the root")?;
    std::env::set_current_dir("/").context("entering the changed root")?;

    let mut sealed = programs()?;
    etc()?;
    sealed.extend(target(spec)?);
    devices()?;
    let sysctl = proc()?;
    for folder in SKELETON {
        make_folder(Path::new(folder), 0o755)?;
    }
    for folder in ["/tmp", "/var/tmp", "/run/lock"] {
        make_folder(Path::new(folder), 0o1777)?;
    }
    symlink("/run", "/var/run").context("linking /var/run")?;
    sealed.extend(PROC_READ_ONLY.iter().map(PathBuf::from).filter(|path| path.exists()));
    mounts::make_read_only(&format!("{OLD}/proc/self/mountinfo"), &sealed)?;
    umount2(OLD, MntFlags::MNT_DETACH).context("letting go of the old root")?;
    fs::remove_dir(OLD).context("removing the old root's place")?;
    own_folders(spec)?;
    Ok(sysctl)
}

/// Closes what is not the agent's, once everything is laid.
///
/// With root, ownership does it. Without, the agent's id owns all of the temporary file system, so `/etc` becomes
/// read-only and the other folders lose their write permission: what fails elsewhere must fail here.
pub(super) fn close(spec: &PodSpec) -> Result<()> {
    let etc = Path::new("/etc");
    mounts::bind(etc, etc)?;
    mounts::make_read_only("/proc/self/mountinfo", &[etc.to_path_buf()])?;
    if spec.standing == Standing::Rootless {
        for folder in SKELETON.iter().chain(&["/", "/dev", "/opt/target"]).map(Path::new) {
            if folder != Path::new(&spec.home) && folder != Path::new(&spec.workdir) && !on_host(folder, spec) {
                fs::set_permissions(folder, fs::Permissions::from_mode(0o555))
                    .with_context(|| format!("closing {}", folder.display()))?;
            }
        }
    }
    Ok(())
}

/// Whether a path shows the host's own files, which are not ours to make, own or change.
pub(super) fn on_host(path: &Path, spec: &PodSpec) -> bool {
    let target = matches!(spec.target, TargetMount::Folder { .. }) && path.starts_with(TARGET_ROOT);
    let program = PROGRAM_FOLDERS.iter().any(|name| path.starts_with(Path::new("/").join(name)));
    target || program || ["/proc", "/dev/"].iter().any(|kernel| path.starts_with(kernel) && path != Path::new("/dev"))
}

/// Binds the program folders; gives the places to be made read-only.
fn programs() -> Result<Vec<PathBuf>> {
    let mut sealed = Vec::new();
    for name in PROGRAM_FOLDERS {
        let (source, target) = (Path::new(OLD).join(name), Path::new("/").join(name));
        let Ok(metadata) = fs::symlink_metadata(&source) else { continue };
        if metadata.is_symlink() {
            let link = fs::read_link(&source).with_context(|| format!("reading the link /{name}"))?;
            symlink(link, &target).with_context(|| format!("linking /{name}"))?;
        } else if metadata.is_dir() {
            make_folder(&target, 0o755)?;
            mounts::bind(&source, &target)?;
            sealed.push(target);
        }
    }
    Ok(sealed)
}

/// The part of `/etc` that comes from the host, and what replaces the rest. Copies: `/etc` is to be written to.
fn etc() -> Result<()> {
    let (from, to) = (Path::new(OLD).join("etc"), Path::new("/etc"));
    make_folder(to, 0o755)?;
    for name in ETC_FILES {
        let target = to.join(name);
        // What the host lacks, or keeps as a link that leads elsewhere, the pod lacks.
        let Ok(bytes) = fs::read(from.join(name)) else { continue };
        make_folder(target.parent().unwrap_or(to), 0o755)?;
        fs::write(&target, bytes).with_context(|| format!("writing {}", target.display()))?;
    }
    for name in ETC_FOLDERS {
        copy_folder(&from.join(name), &to.join(name))?;
    }
    symlink("/proc/mounts", "/etc/mtab").context("linking /etc/mtab")?;
    fs::write("/etc/nsswitch.conf", NSSWITCH).context("writing /etc/nsswitch.conf")
}

/// Copies a flat folder of links and small files.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    make_folder(to, 0o755)?;
    for entry in entries.flatten() {
        let target = to.join(entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_symlink() {
            let Ok(link) = fs::read_link(entry.path()) else { continue };
            symlink(link, &target).with_context(|| format!("linking {}", target.display()))?;
        } else if kind.is_file() {
            let Ok(bytes) = fs::read(entry.path()) else { continue };
            fs::write(&target, bytes).with_context(|| format!("writing {}", target.display()))?;
        }
    }
    Ok(())
}

/// The target's place; gives the places to be made read-only.
fn target(spec: &PodSpec) -> Result<Option<PathBuf>> {
    let root = Path::new(TARGET_ROOT);
    let host = |path: &Path| Path::new(OLD).join(path.strip_prefix("/").unwrap_or(path));
    make_folder(root, 0o755)?;
    match &spec.target {
        TargetMount::Nothing => Ok(None),
        TargetMount::Folder { path, writable } => {
            mounts::bind(&host(path), root)?;
            Ok((!writable).then(|| root.to_path_buf()))
        }
        TargetMount::Program { path } => {
            let place = root.join("parallax");
            fs::write(&place, "").context("making the program's place")?;
            mounts::bind(&host(path), &place)?;
            Ok(Some(place))
        }
    }
}

fn devices() -> Result<()> {
    make_folder(Path::new("/dev"), 0o755)?;
    for name in DEVICES {
        let (source, target) = (Path::new(OLD).join("dev").join(name), Path::new("/dev").join(name));
        fs::write(&target, "").with_context(|| format!("making {}", target.display()))?;
        mounts::bind(&source, &target)?;
    }
    for folder in ["/dev/pts", "/dev/shm", "/dev/mqueue"] {
        make_folder(Path::new(folder), if folder == "/dev/pts" { 0o755 } else { 0o1777 })?;
    }
    mounts::pseudo("devpts", "/dev/pts", MsFlags::empty(), Some("newinstance,ptmxmode=0666,mode=0620"))?;
    let links = [
        ("pts/ptmx", "ptmx"),
        ("/proc/self/fd", "fd"),
        ("/proc/self/fd/0", "stdin"),
        ("/proc/self/fd/1", "stdout"),
        ("/proc/self/fd/2", "stderr"),
    ];
    for (to, name) in links {
        symlink(to, Path::new("/dev").join(name)).with_context(|| format!("linking /dev/{name}"))?;
    }
    Ok(())
}

/// Mounts the pid namespace's own `/proc` and hides what tells of the machine.
fn proc() -> Result<fs::File> {
    make_folder(Path::new("/proc"), 0o555)?;
    mounts::pseudo("proc", "/proc", MsFlags::MS_NODEV, None)
        .context("a masked /proc (inside a container without its own full /proc) forbids this")?;
    let sysctl = fs::File::open("/proc/sys/user").context("opening /proc/sys/user")?;
    make_folder(Path::new(EMPTY), 0o555)?;
    for path in MASKED.map(Path::new) {
        let Ok(metadata) = fs::symlink_metadata(path) else { continue };
        let cover = if metadata.is_dir() { Path::new(EMPTY) } else { Path::new("/dev/null") };
        mounts::bind(cover, path)?;
    }
    fs::remove_dir(EMPTY).context("removing the empty folder")?;
    for path in PROC_READ_ONLY.map(Path::new) {
        if path.exists() {
            mounts::bind(path, path)?;
        }
    }
    Ok(sysctl)
}

/// HOME and the workspace, which belong to the agent.
fn own_folders(spec: &PodSpec) -> Result<()> {
    ensure!(!on_host(Path::new(&spec.home), spec), "HOME cannot be {}, where this machine's programs stand", spec.home);
    for folder in [&spec.home, &spec.workdir] {
        let path = Path::new(folder);
        if !on_host(path, spec) {
            make_folder(path, 0o755)?;
            give(path, spec)?;
        }
    }
    Ok(())
}

/// Gives a path to the agent's account. Without root everything is the agent's already: there is only one id.
pub(super) fn give(path: &Path, spec: &PodSpec) -> Result<()> {
    if let Standing::Root { outer } = spec.standing {
        let (uid, gid) = (Uid::from_raw(outer), Gid::from_raw(outer));
        std::os::unix::fs::lchown(path, Some(uid.as_raw()), Some(gid.as_raw()))
            .with_context(|| format!("giving {} to the agent", path.display()))?;
    }
    Ok(())
}

/// Makes a folder and its parents; sets the folder's own mode if it is new or asked for.
pub(super) fn make_folder(path: &Path, mode: u32) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(path).with_context(|| format!("making {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).with_context(|| format!("opening {}", path.display()))
}
