# Space for GPU code in a stand-in library, and the records by which a HIP runtime finds it: the bundles of two
# translation units, which `tests::amd_tree` fills in after the library is linked (`gpu_code::add`). Until then
# the bundles only have an entry for the host. In AMD's libraries clang emits the same two sections.
.pushsection .hip_fatbin, "aR", @progbits
.p2align 12
.Lstandin_bundles:
.rept 2
.ascii "__CLANG_OFFLOAD_BUNDLE__"
.quad 1
.quad 4096, 0, 30
.ascii "host-x86_64-unknown-linux-gnu-"
.zero 49152 - 86
.endr
.popsection
.pushsection .hipFatBinSegment, "awR", @progbits
.p2align 3
.long 0x48495046, 1
.quad .Lstandin_bundles, 0
.long 0x48495046, 1
.quad .Lstandin_bundles + 49152, 0
.popsection
.pushsection .note.GNU-stack, "", @progbits
.popsection
