//! LM Studio's manifests. An engine (`backends/llama.cpp-linux-*-rocm-*/backend-manifest.json`) names the
//! vendor directories from which it loads libraries and the GPUs on which LM Studio offers it, regardless of
//! which kernels the libraries have. <https://github.com/lmstudio-ai/lmstudio-bug-tracker/issues/1004>

use super::layout::Tree;
use crate::{inspect::layout::Layout, root::Root};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The manifest's name in the directory of an engine.
const MANIFEST: &str = "backend-manifest.json";

/// An engine that uses the libraries of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Engine {
    /// Its manifest, inside the root.
    #[serde(serialize_with = "crate::output::json::path")]
    pub manifest: PathBuf,
    /// The GPUs on which LM Studio offers it; none if the manifest does not list any.
    pub targets: Vec<String>,
}

/// The relevant fields of a manifest.
#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    gpu: Gpu,
    #[serde(default)]
    vendor_lib_package_names: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Gpu {
    #[serde(default)]
    targets: Vec<String>,
}

/// The engines that use a tree's libraries. An unreadable manifest is ignored.
#[must_use]
pub fn engines(root: &Root, tree: &Tree) -> Vec<Engine> {
    if tree.layout != Layout::LmStudio {
        return Vec::new();
    }
    // backends/vendor/NAME or backends/vendor/NAME/lib.
    let is_vendor = |path: &&Path| path.file_name().is_some_and(|name| name == "vendor");
    let Some(vendor) = tree.lib.ancestors().skip(1).find(is_vendor) else { return Vec::new() };
    let below = tree.lib.strip_prefix(vendor).unwrap_or(Path::new(""));
    let Some((package, backends)) = below.iter().next().zip(vendor.parent()) else {
        return Vec::new();
    };
    let names = root.names(backends).unwrap_or_default();
    let engine = |name: std::ffi::OsString| {
        let manifest = backends.join(name).join(MANIFEST);
        let text = super::reading::text_up_to(root, &manifest, 1 << 20).ok()?;
        let read: Manifest = serde_json::from_str(&text).ok()?;
        let is_used = read.vendor_lib_package_names.iter().any(|name| package == name.as_str());
        is_used.then_some(Engine { manifest, targets: read.gpu.targets })
    };
    names.into_iter().filter_map(engine).collect()
}

impl Engine {
    /// Why LM Studio does not offer it on a GPU, and what to do; `None` if it does.
    #[must_use]
    pub fn refusal(&self, gpu: &str) -> Option<(String, String)> {
        let processor = gpu.split(':').next().unwrap_or(gpu);
        if self.targets.is_empty() || self.targets.iter().any(|target| target == processor) {
            return None;
        }
        let manifest = self.manifest.display();
        Some((
            format!(
                "LM Studio offers this engine on {} only, as listed in {manifest}, regardless of its libraries.",
                self.targets.join(", ")
            ),
            format!(
                "add \"{processor}\" to gpu.targets in {manifest} (again after each update of the engine) \
                 and restart LM Studio"
            ),
        ))
    }
}
