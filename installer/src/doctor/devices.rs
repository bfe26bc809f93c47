//! Whether this process may access a GPU, according to the device files and the driver's list.

use super::{Finding, Severity};
use crate::inspect::machine::{self, Device, Machine};

/// The machine that this process runs on.
pub(crate) fn machine() -> Machine {
    machine::this()
}

/// Findings about a machine.
pub(crate) fn finding(machine: &Machine) -> Finding {
    let refused: Vec<&Device> = machine.devices.iter().filter(|device| !device.usable).collect();
    let has_kfd = machine.devices.iter().any(|device| device.path.ends_with("kfd"));
    if machine.gpus.is_empty() || !has_kfd {
        // An image is built on a machine without a GPU, so this is not an error by itself.
        return Finding {
            severity: Severity::Warning,
            title: "no AMD GPU is visible".to_owned(),
            seen: vec![if has_kfd {
                "/dev/kfd exists, but the driver lists no GPU".to_owned()
            } else {
                "/dev/kfd does not exist".to_owned()
            }],
            why:
                "The amdgpu driver is not loaded, or this is a container (or a build of one) that \
                  was not given the GPU."
                    .to_owned(),
            cure: format!(
                "on a host: modprobe amdgpu; for a container: docker run --device /dev/kfd --device \
                 /dev/dri{} ...",
                group_options(machine)
            ),
            said: None,
        };
    }
    if !refused.is_empty() {
        return Finding {
            severity: Severity::Error,
            title: "no permission to use the GPU".to_owned(),
            seen: refused.iter().map(|device| in_words(device)).collect(),
            why: "This process is not in the groups that own the devices.".to_owned(),
            cure: permission(machine),
            said: None,
        };
    }
    let gpus = machine.gpus.iter().map(|gpu| format!("{} ({})", gpu.target, gpu.name));
    Finding {
        severity: Severity::Fine,
        title: format!("accessible GPUs: {}", gpus.collect::<Vec<_>>().join(", ")),
        seen: Vec::new(),
        why: String::new(),
        cure: String::new(),
        said: None,
    }
}

fn in_words(device: &Device) -> String {
    let Device { path, mode, uid, gid, .. } = device;
    format!("{}: mode {mode:o}, user {uid}, group {gid}", path.display())
}

fn permission(machine: &Machine) -> String {
    let groups: Vec<String> = machine.groups_to_add.iter().map(ToString::to_string).collect();
    if groups.is_empty() {
        return "chmod or chown the devices, or run as root: no group has access".to_owned();
    }
    let numbers = groups.join(" and ");
    format!(
        "on a host: usermod -a -G with the names of groups {numbers} (getent group {}), then log in \
         again; for a container: docker run{} ...",
        groups.join(" "),
        group_options(machine)
    )
}

/// ` --group-add N` for each, by number, since names differ between a host and its containers.
fn group_options(machine: &Machine) -> String {
    machine.groups_to_add.iter().map(|group| format!(" --group-add {group}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::machine::Gpu;

    fn machine(usable: bool) -> Machine {
        let device =
            |path: &str, gid| Device { path: path.into(), mode: 0o660, uid: 0, gid, usable };
        let gpu = Gpu {
            pci: None,
            node: 1,
            target: "gfx906".to_owned(),
            name: "vega20".to_owned(),
            simd_count: 240,
            memory: 32 << 30,
        };
        Machine {
            gpus: vec![gpu],
            devices: vec![device("/dev/kfd", 992), device("/dev/dri/renderD128", 992)],
            groups_to_add: vec![992],
        }
    }

    #[test]
    fn a_machine_without_gpu_is_worth_a_look_and_no_error() {
        let finding = finding(&Machine::default());
        assert_eq!(finding.severity, Severity::Warning);
        assert!(finding.cure.contains("--device /dev/kfd --device /dev/dri"), "{finding:?}");
    }

    #[test]
    fn a_refused_device_comes_with_the_number_of_its_group() {
        let finding = finding(&machine(false));
        assert_eq!(finding.severity, Severity::Error);
        assert_eq!(finding.seen[0], "/dev/kfd: mode 660, user 0, group 992");
        assert!(finding.cure.contains("docker run --group-add 992"), "{finding:?}");
    }

    #[test]
    fn gpus_that_may_be_used_are_listed() {
        let finding = finding(&machine(true));
        assert_eq!(finding.severity, Severity::Fine);
        assert!(finding.title.ends_with("gfx906 (vega20)"), "{finding:?}");
    }
}
