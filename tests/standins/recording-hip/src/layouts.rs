//! The structures of the C interface. Their sizes and offsets are those of HIP 7.2's headers, and each one
//! that the code relies on is checked against a printed `offsetof` from those headers.

use std::{
    ffi::{c_char, c_void},
    fmt,
};

/// `dim3`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dim3 {
    pub(crate) x: u32,
    pub(crate) y: u32,
    pub(crate) z: u32,
}

impl Dim3 {
    pub(crate) fn sides(self) -> [u32; 3] {
        [self.x, self.y, self.z]
    }

    pub(crate) fn volume(self) -> u64 {
        self.sides().into_iter().map(u64::from).fold(1, u64::saturating_mul)
    }
}

impl fmt::Display for Dim3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.x, self.y, self.z)
    }
}

/// `hipPointerAttribute_t`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PointerAttributes {
    /// `hipMemoryType`: 0 unregistered, 1 host, 2 device, 3 managed.
    pub(crate) kind: i32,
    pub(crate) device: i32,
    pub(crate) device_pointer: *mut c_void,
    pub(crate) host_pointer: *mut c_void,
    pub(crate) is_managed: i32,
    pub(crate) allocation_flags: u32,
}

/// `hipFuncAttributes`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FunctionAttributes {
    pub(crate) binary_version: i32,
    pub(crate) cache_mode_ca: i32,
    pub(crate) const_size_bytes: usize,
    pub(crate) local_size_bytes: usize,
    pub(crate) max_dynamic_shared_size_bytes: i32,
    pub(crate) max_threads_per_block: i32,
    pub(crate) num_regs: i32,
    pub(crate) preferred_shmem_carveout: i32,
    pub(crate) ptx_version: i32,
    pub(crate) shared_size_bytes: usize,
}

/// The argument of `__hipRegisterFatBinary`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct FatBinaryWrapper {
    pub(crate) magic: u32,
    pub(crate) version: u32,
    pub(crate) binary: *const c_void,
    pub(crate) unused: *const c_void,
}

impl FatBinaryWrapper {
    /// `HIPF`, most significant byte first.
    pub(crate) const MAGIC: u32 = 0x4849_5046;
    pub(crate) const VERSION: u32 = 1;
}

/// `hipDeviceProp_tR0600`: only fields that are used have names; the others stay zero.
#[repr(C)]
#[derive(Clone)]
pub(crate) struct DeviceProperties {
    pub(crate) name: [c_char; 256],
    pub(crate) uuid: [u8; 16],
    pub(crate) luid: [u8; 8],
    pub(crate) luid_device_node_mask: u32,
    pub(crate) total_global_mem: usize,
    pub(crate) shared_mem_per_block: usize,
    pub(crate) regs_per_block: i32,
    pub(crate) warp_size: i32,
    pub(crate) mem_pitch: usize,
    pub(crate) max_threads_per_block: i32,
    pub(crate) max_threads_dim: [i32; 3],
    pub(crate) max_grid_size: [i32; 3],
    pub(crate) clock_rate: i32,
    pub(crate) total_const_mem: usize,
    pub(crate) major: i32,
    pub(crate) minor: i32,
    pub(crate) texture_alignment: usize,
    pub(crate) texture_pitch_alignment: usize,
    pub(crate) device_overlap: i32,
    pub(crate) multi_processor_count: i32,
    pub(crate) kernel_exec_timeout_enabled: i32,
    pub(crate) integrated: i32,
    pub(crate) can_map_host_memory: i32,
    pub(crate) compute_mode: i32,
    textures_and_surfaces: [i32; 40],
    pub(crate) surface_alignment: usize,
    pub(crate) concurrent_kernels: i32,
    pub(crate) ecc_enabled: i32,
    pub(crate) pci_bus_id: i32,
    pub(crate) pci_device_id: i32,
    pub(crate) pci_domain_id: i32,
    tcc_driver: i32,
    pub(crate) async_engine_count: i32,
    pub(crate) unified_addressing: i32,
    pub(crate) memory_clock_rate: i32,
    pub(crate) memory_bus_width: i32,
    pub(crate) l2_cache_size: i32,
    persisting_l2_cache_max_size: i32,
    pub(crate) max_threads_per_multi_processor: i32,
    pub(crate) stream_priorities_supported: i32,
    caches: [i32; 2],
    pub(crate) shared_mem_per_multiprocessor: usize,
    pub(crate) regs_per_multiprocessor: i32,
    pub(crate) managed_memory: i32,
    boards_and_access: [i32; 8],
    pub(crate) cooperative_launch: i32,
    cooperative_multi_device_launch: i32,
    pub(crate) shared_mem_per_block_optin: usize,
    host_page_tables: [i32; 2],
    pub(crate) max_blocks_per_multi_processor: i32,
    access_policies: [i32; 3],
    pub(crate) host_register_supported: i32,
    sparse_arrays: [i32; 3],
    pub(crate) memory_pools_supported: i32,
    reserved: [i32; 103],
    pub(crate) gcn_arch_name: [c_char; 256],
    pub(crate) max_shared_memory_per_multi_processor: usize,
    pub(crate) clock_instruction_rate: i32,
    pub(crate) arch: u32,
    flush_controls: [usize; 2],
    unmatched_launches: [i32; 4],
    pub(crate) is_large_bar: i32,
    pub(crate) asic_revision: i32,
}

impl DeviceProperties {
    /// All zero.
    pub(crate) fn zeroed() -> Self {
        // SAFETY: numbers and arrays of numbers only, for which zero bytes are a value.
        unsafe { std::mem::zeroed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    #[test]
    fn sizes_are_those_of_hip_7_2s_headers() {
        assert_eq!(size_of::<DeviceProperties>(), 1472);
        assert_eq!(size_of::<PointerAttributes>(), 32);
        assert_eq!(size_of::<FunctionAttributes>(), 56);
        assert_eq!(size_of::<Dim3>(), 12);
        // Emitted by the compiler: two 32-bit numbers and two pointers (LLVM's HIP support document).
        assert_eq!(size_of::<FatBinaryWrapper>(), 24);
        assert_eq!(offset_of!(FatBinaryWrapper, binary), 8);
    }

    #[test]
    fn pointer_attributes_lie_where_hip_7_2s_headers_put_them() {
        assert_eq!(offset_of!(PointerAttributes, kind), 0);
        assert_eq!(offset_of!(PointerAttributes, device), 4);
        assert_eq!(offset_of!(PointerAttributes, device_pointer), 8);
        assert_eq!(offset_of!(PointerAttributes, host_pointer), 16);
        assert_eq!(offset_of!(PointerAttributes, is_managed), 24);
        assert_eq!(offset_of!(PointerAttributes, allocation_flags), 28);
    }

    #[test]
    fn function_attributes_lie_where_hip_7_2s_headers_put_them() {
        assert_eq!(offset_of!(FunctionAttributes, const_size_bytes), 8);
        assert_eq!(offset_of!(FunctionAttributes, local_size_bytes), 16);
        assert_eq!(offset_of!(FunctionAttributes, max_dynamic_shared_size_bytes), 24);
        assert_eq!(offset_of!(FunctionAttributes, max_threads_per_block), 28);
        assert_eq!(offset_of!(FunctionAttributes, num_regs), 32);
        assert_eq!(offset_of!(FunctionAttributes, preferred_shmem_carveout), 36);
        assert_eq!(offset_of!(FunctionAttributes, ptx_version), 40);
        assert_eq!(offset_of!(FunctionAttributes, shared_size_bytes), 48);
    }

    #[test]
    fn device_properties_lie_where_hip_7_2s_headers_put_them() {
        macro_rules! check {
            ($($field:ident $offset:literal),* $(,)?) => {
                $(assert_eq!(offset_of!(DeviceProperties, $field), $offset, stringify!($field));)*
            };
        }
        check! {
            name 0, uuid 256, luid 272, luid_device_node_mask 280, total_global_mem 288,
            shared_mem_per_block 296, regs_per_block 304, warp_size 308, mem_pitch 312,
            max_threads_per_block 320, max_threads_dim 324, max_grid_size 336, clock_rate 348,
            total_const_mem 352, major 360, minor 364, texture_alignment 368,
            multi_processor_count 388, can_map_host_memory 400, surface_alignment 568,
            concurrent_kernels 576, ecc_enabled 580, pci_bus_id 584, pci_device_id 588,
            pci_domain_id 592, async_engine_count 600, unified_addressing 604,
            memory_clock_rate 608, memory_bus_width 612, l2_cache_size 616,
            max_threads_per_multi_processor 624, stream_priorities_supported 628,
            shared_mem_per_multiprocessor 640, regs_per_multiprocessor 648, managed_memory 652,
            cooperative_launch 688, shared_mem_per_block_optin 696,
            max_blocks_per_multi_processor 712, host_register_supported 728,
            memory_pools_supported 744, gcn_arch_name 1160,
            max_shared_memory_per_multi_processor 1416, clock_instruction_rate 1424, arch 1428,
            is_large_bar 1464, asic_revision 1468,
        }
    }
}
