//! Environments in all places where people put them, and the limits of the search.

use super::*;
use crate::inspect::{layout::find, testing::Image};

/// Below an environment.
const TORCH: &str = "lib/python3.12/site-packages/torch/lib";

fn libs(image: &Image) -> Vec<PathBuf> {
    find(&image.root, &[]).expect("trees").into_iter().map(|tree| tree.lib).collect()
}

#[test]
fn environments_are_found_wherever_people_put_them() {
    for environment in [
        "/app/venv",
        "/opt/ml/venv",
        "/opt/vllm-venv",
        "/venv",
        "/workspace/venv",
        "/workspace/ComfyUI/.venv",
        "/srv/ai/env",
        "/data/conda/envs/rocm",
        "/mnt/ssd/pipx/venvs/vllm",
        "/usr/local/share/pipx/venvs/vllm",
        "/root/.local/share/uv/tools/vllm",
        "/root/ai/ai/ComfyUI-master/venv",
        "/media/HDD/programs/AI/ComfyUI/venv-linux",
        "/media/me/DISK/programs/AI/ComfyUI/venv",
    ] {
        for packages in [TORCH, "lib64/python3.13/site-packages/_rocm_sdk_libraries/lib"] {
            let image = Image::new();
            image.file(&format!("{environment}/{packages}/librocblas.so"), "");
            assert_eq!(libs(&image), [Path::new(environment).join(packages)]);
        }
    }
}

#[test]
fn applications_are_known_by_their_directories() {
    let image = Image::new();
    let found = [
        "/data/lib/ollama/rocm_v7",
        "/root/.lmstudio/extensions/backends/vendor/linux-llama-rocm-vendor-v3",
        "/srv/rocm-7.1.1/lib",
    ];
    for lib in found.iter().chain(&["/srv/backup/lib", "/opt/app/rocblas-shim/lib/ollama/rocm"]) {
        image.file(&format!("{lib}/librocblas.so.5"), "");
    }
    let mut libs = libs(&image);
    libs.sort();
    assert_eq!(libs, found.map(PathBuf::from));
}

#[test]
fn other_peoples_homes_are_not_entered() {
    let image = Image::new();
    image.file("/etc/passwd", "root:x:0:0::/root:/bin/sh\nme:x:1000:1000:Me,,:/data/me:/bin/sh\n");
    image.file(&format!("/data/me/venv/{TORCH}/librocblas.so"), "");
    image.file(&format!("/home/me/a/b/c/venv/{TORCH}/librocblas.so"), "");
    assert!(libs(&image).is_empty());
    image.file(&format!("/data/shared/venv/{TORCH}/librocblas.so"), "");
    assert_eq!(libs(&image).len(), 1);
}

#[test]
fn a_symlink_is_followed_to_an_environment_and_no_further() {
    let image = Image::new();
    image.file(&format!("/var/env/{TORCH}/librocblas.so"), "");
    image.file(&format!("/var/more/deep/env/{TORCH}/librocblas.so"), "");
    image.link("/opt/env", "/var/env");
    image.link("/opt/more", "/var/more");
    image.link("/opt/loop", "/opt");
    assert_eq!(libs(&image), [Path::new("/var/env").join(TORCH)]);
}

#[test]
fn the_search_ends_at_its_bounds_and_prefers_what_is_shallow() {
    let image = Image::new();
    let deep = "/opt/1/2/3/4/5/6/7/8";
    image.file(&format!("{deep}/{TORCH}/librocblas.so"), "");
    image.file(&format!("{deep}/9/{TORCH}/librocblas.so"), "");
    image.file(&format!("/srv/env/{TORCH}/librocblas.so"), "");
    let found = |most| Search::new(&image.root).run(most).pythons;
    assert_eq!(found(1000), [PathBuf::from("/srv/env"), PathBuf::from(deep)]);
    assert_eq!(found(4), [PathBuf::from("/srv/env")]);
}

#[test]
fn network_mounts_and_the_kernels_file_systems_are_told_from_disks() {
    let line = "36 35 98:1 / /mnt/far rw,noatime shared:1 - nfs4 server:/export rw";
    let (device, kind) = mount(line).expect("a mount");
    assert_eq!(device, rustix::fs::makedev(98, 1));
    assert!(is_remote_type(&kind));
    for kind in ["cifs", "smb3", "9p", "ceph", "fuse.sshfs", "proc", "sysfs", "autofs"] {
        assert!(is_remote_type(kind), "{kind}");
    }
    for kind in ["ext4", "btrfs", "xfs", "zfs", "fuseblk", "ntfs3", "overlay", "tmpfs", "exfat"] {
        assert!(!is_remote_type(kind), "{kind}");
    }
    assert_eq!(mount("36 35"), None);
}
