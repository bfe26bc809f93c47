//! The GPUs of this machine, as listed by the kernel's driver, and whether this process may use them. This
//! needs no ROCm.
//!
//! The inspected tree may be in another root; GPUs are always the machine's own. The base directories are
//! parameters for tests.

use super::reading::machine_text_up_to;
use rustix::fs::{Access, AtFlags, CWD, accessat};
use serde::Serialize;
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

/// Files in sysfs have at most a page.
const PAGE: u64 = 1 << 12;

/// GPUs and the permission to use them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// In the kernel's order.
    pub gpus: Vec<Gpu>,
    /// `/dev/kfd` and the render nodes in `/dev/dri`, those that exist.
    pub devices: Vec<Device>,
    /// The groups that a container needs with `--group-add`, as numbers: names differ between a host and its
    /// containers.
    pub groups_to_add: Vec<u32>,
}

/// A GPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// The number of its node in the topology.
    pub node: u32,
    /// Its target ("gfx906").
    pub target: String,
    /// Its PCI address ("0000:03:00.0"), if the driver reports it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pci: Option<String>,
    /// The driver's name for it ("vega20").
    pub name: String,
    /// Its number of SIMD units, four to a compute unit on GCN.
    pub simd_count: u64,
    /// Its own memory, in bytes; 0 if it shares the machine's.
    pub memory: u64,
}

/// A device file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Its path on the machine.
    #[serde(serialize_with = "crate::output::json::path")]
    pub path: PathBuf,
    /// Permission bits, as chmod takes them.
    pub mode: u32,
    /// The owner's UID.
    pub uid: u32,
    /// The GID.
    pub gid: u32,
    /// Whether this process may open it for reading and writing.
    pub usable: bool,
}

/// Examines the running machine.
#[must_use]
pub fn this() -> Machine {
    look(Path::new("/sys"), Path::new("/dev"))
}

/// The targets of the GPUs that programs here can access. During an image build the kernel lists the host's
/// GPUs, but without their driver's device they are not accessible.
#[must_use]
pub fn targets() -> BTreeSet<String> {
    let machine = this();
    let can_be_reached = machine.devices.iter().any(|device| device.path.ends_with(DRIVER));
    machine.gpus.into_iter().filter(|_| can_be_reached).map(|gpu| gpu.target).collect()
}

/// The compute device of AMD's driver.
const DRIVER: &str = "kfd";

/// Examines a machine with sysfs and device files in these directories: `/sys` and `/dev`.
#[must_use]
pub fn look(sys: &Path, dev: &Path) -> Machine {
    let gpus = gpus(&sys.join("class/kfd/kfd/topology/nodes"));
    let render = numbered(&dev.join("dri"), "renderD").into_iter().map(|(_, path)| path);
    let devices: Vec<Device> =
        [dev.join(DRIVER)].into_iter().chain(render).filter_map(|path| device(&path)).collect();
    let mut groups_to_add: Vec<u32> = devices.iter().filter_map(group_to_add).collect();
    groups_to_add.sort_unstable();
    groups_to_add.dedup();
    Machine { gpus, devices, groups_to_add }
}

/// The target for KFD's `gfx_target_version`: decimal major, minor and stepping of two digits each; in the
/// target's name the last two are hexadecimal (90010 is gfx90a).
#[must_use]
pub fn target_of(version: u64) -> String {
    let (major, minor, stepping) = (version / 10_000, version / 100 % 100, version % 100);
    format!("gfx{major}{minor:x}{stepping:x}")
}

/// The address of KFD's `location_id`: bus, device and function in 8, 5 and 3 bits.
fn pci_address(domain: u64, id: u64) -> String {
    format!("{domain:04x}:{:02x}:{:02x}.{}", id >> 8 & 0xff, id >> 3 & 0x1f, id & 7)
}

fn gpus(nodes: &Path) -> Vec<Gpu> {
    numbered(nodes, "").into_iter().filter_map(|(node, path)| gpu(node, &path)).collect()
}

/// The GPU of a node; `None` for a CPU node.
fn gpu(node: u32, directory: &Path) -> Option<Gpu> {
    let properties = machine_text_up_to(&directory.join("properties"), PAGE).ok()?;
    let property = |name: &str| {
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok();
        properties.lines().find_map(value)
    };
    let version: u64 = property("gfx_target_version").filter(|version| *version != 0)?;
    let name = machine_text_up_to(&directory.join("name"), PAGE).unwrap_or_default();
    Some(Gpu {
        node,
        target: target_of(version),
        pci: property("location_id").map(|id| pci_address(property("domain").unwrap_or(0), id)),
        name: name.trim().to_owned(),
        simd_count: property("simd_count").unwrap_or(0),
        memory: memory(&directory.join("mem_banks")),
    })
}

/// The total size of a GPU's own memory banks. `local_mem_size` in its properties is 0 on current kernels.
fn memory(banks: &Path) -> u64 {
    // HSA_HEAPTYPE_FRAME_BUFFER_PUBLIC and _PRIVATE.
    let is_own = |heap: &str| matches!(heap.trim(), "1" | "2");
    let size = |bank: &Path| {
        let properties = machine_text_up_to(&bank.join("properties"), PAGE).ok()?;
        let value = |name: &str| properties.lines().find_map(|line| line.strip_prefix(name));
        value("heap_type ").filter(|heap| is_own(heap))?;
        value("size_in_bytes ")?.trim().parse::<u64>().ok()
    };
    let sizes = numbered(banks, "").into_iter().filter_map(|(_, bank)| size(&bank));
    sizes.fold(0, u64::saturating_add)
}

/// The entries of a directory whose names end in a number, by that number.
fn numbered(directory: &Path, beginning: &str) -> Vec<(u32, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let number = |path: &Path| path.file_name()?.to_str()?.strip_prefix(beginning)?.parse().ok();
    let mut found: Vec<(u32, PathBuf)> =
        entries.map(|e| e.path()).filter_map(|path| Some((number(&path)?, path))).collect();
    found.sort();
    found
}

fn device(path: &Path) -> Option<Device> {
    let metadata = fs::metadata(path).ok()?;
    Some(Device {
        path: path.to_owned(),
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        // With the effective IDs, which an open uses, and without opening: opening kfd registers a process
        // with the driver.
        usable: metadata.file_type().is_char_device()
            && accessat(CWD, path, Access::READ_OK | Access::WRITE_OK, AtFlags::EACCESS).is_ok(),
    })
}

/// The group that may use a device, unless everyone may. A container's root is in group 0 anyway.
fn group_to_add(device: &Device) -> Option<u32> {
    let group = device.mode & 0o060 == 0o060;
    let everyone = device.mode & 0o006 == 0o006;
    (group && !everyone && device.gid != 0).then_some(device.gid)
}

#[cfg(test)]
mod tests;
