//! Error texts that people meet, what each comes from and what helps.
//!
//! The texts are those of rocBLAS, HIP, glibc's loader, CMake and shells, as they are seen in logs, and
//! in `shim.rs` those of the shim. A program's log has many lines and several consequences of one cause, so each line is
//! explained once, by the first entry that knows it, and each entry comes once.

mod shim;

use rocblas_contract::sentences::Sentence;

/// The command that gives the shim a backend.
const BACKEND_6_3: &str = "installer apply --backend rocblas_4.3.0.60300-39~22.04_amd64.deb   (AMD's \
     package for ROCm 6.3; apt-get download it, do not install it)";

/// An error that is understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Known {
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// How it reads. A line shows it that has all the parts between the stars, in order.
    pub signs: &'static [&'static str],
    /// Why that is printed.
    pub cause: &'static str,
    /// What to do.
    pub cure: &'static str,
}

/// Everything in a text that is understood, in the order of the text.
#[must_use]
pub fn explain(text: &str) -> Vec<&'static Known> {
    explained_lines(text).into_iter().map(|(_, known)| known).collect()
}

/// The same, each with the first line that shows it.
#[must_use]
pub fn explained_lines(text: &str) -> Vec<(&str, &'static Known)> {
    let mut found: Vec<(&str, &'static Known)> = Vec::new();
    for line in text.lines() {
        if let Some(known) = understand(line)
            && found.iter().all(|(_, earlier)| *earlier != known)
        {
            found.push((line.trim(), known));
        }
    }
    found
}

/// The shim's sentence in a line, or else another program's. Where the shim quotes the loader, the
/// loader's reason says more.
fn understand(line: &str) -> Option<&'static Known> {
    let of_others = || KNOWN.iter().find(|known| known.signs.iter().any(|sign| shows(line, sign)));
    match Sentence::of(line) {
        Some(sentence) if sentence.is_quotation() => {
            of_others().or_else(|| Some(shim::meaning(sentence)))
        }
        Some(sentence) => Some(shim::meaning(sentence)),
        None => of_others(),
    }
}

fn shows(line: &str, sign: &str) -> bool {
    let mut rest = line;
    sign.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

/// What is known; the more particular before the more general.
pub static KNOWN: &[Known] = &[
    Known {
        title: "rocBLAS has no kernel for this GPU",
        signs: &[
            "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction'",
            "rocBLAS error from hip error code: 'hipErrorNoBinaryForGpu'",
            "ggml_cuda_compute_forward: SOLVE_TRI failed",
        ],
        cause: "The kernels of TRSM and others are compiled into librocblas.so, and ROCm 7's was \
                not compiled for this GPU. llama.cpp meets it in SOLVE_TRI.",
        cure: "installer apply --backend rocblas_4.3.0.60300-39~22.04_amd64.deb   (if the shim is in \
               place already: `installer inspect` says which file is loaded and what it covers)",
    },
    Known {
        title: "a kernel for this GPU is missing, in the program or in one of its libraries",
        signs: &[
            "hipErrorNoBinaryForGpu",
            "hipErrorInvalidDeviceFunction",
            "invalid device function",
            "no kernel image is available for execution on the device",
            "device kernel image is invalid",
        ],
        cause: "The program itself (llama.cpp's own kernels) or one of its libraries was not \
                compiled for this GPU, or HSA_OVERRIDE_GFX_VERSION names another one. Next to a line \
                of rocBLAS it is that one's consequence.",
        cure: "build the program for the GPU (-DGPU_TARGETS=gfx906, in older versions \
               -DAMDGPU_TARGETS); unset HSA_OVERRIDE_GFX_VERSION",
    },
    Known {
        title: "another ROCm library has no code for this GPU",
        signs: &["Cannot find CO in the bundle *lib", "Missing CO for these ISAs"],
        cause: "HIP looked through a library such as librocsolver.so and found no code for the GPU. \
                rocSOLVER, rocSPARSE and others dropped GPUs too, and the shim adds kernels of \
                rocBLAS only. It is harmless until a function of that library is called; llama.cpp \
                calls none.",
        cure: "nothing, if the program works; else a build of that library for the GPU",
    },
    Known {
        title: "librocblas.so.4 is not found",
        signs: &["librocblas.so.4: cannot open shared object file"],
        cause: "The program was built for ROCm 6, and this is a tree of ROCm 7. The shim stands for \
                librocblas.so.5 alone.",
        cure: "build the program with this ROCm, or run it with ROCm 6",
    },
    Known {
        title: "librocblas.so.5 is not found",
        signs: &["librocblas.so.5: cannot open shared object file"],
        cause: "ROCm's library directory is not on the loader's search path, rocBLAS is not \
                installed (AMD's plain images lack it), or the link was removed by hand.",
        cure: "ldconfig; installer status; or apt-get install rocblas, then installer apply",
    },
    Known {
        title: "libamdhip64.so.6 is not found",
        signs: &["libamdhip64.so.6: cannot open shared object file"],
        cause: "rocBLAS 6.3 asks for the HIP runtime by ROCm 6's name; ROCm 7 has libamdhip64.so.7. \
                The loader's cache knows a library by its SONAME and not by a link to it.",
        cure: "installer apply   (or, where a search path cannot be relied on: installer apply \
               --compat stubs)",
    },
    Known {
        title: "libhipblaslt.so.0 is not found",
        signs: &["libhipblaslt.so.0: cannot open shared object file"],
        cause: "rocBLAS 6.3 asks for hipBLASLt by ROCm 6's name; ROCm 7 has libhipblaslt.so.1. The \
                loader wants it there, nothing calls it.",
        cure: "installer apply   (and apt-get install hipblaslt, if there is no libhipblaslt.so.1)",
    },
    Known {
        title: "a library is not found",
        signs: &["cannot open shared object file"],
        cause: "A library that the program or one of its libraries needs is in no directory that \
                the loader searches.",
        cure: "install it; or name its directory in a file of /etc/ld.so.conf.d and run ldconfig",
    },
    Known {
        title: "librocblas.so.5 is a link to ROCm 6's library",
        signs: &[
            "undefined symbol: _Z32rocblas_internal_get_device_prop",
            "undefined symbol: _Z29rocblas_internal_set_data_ptr",
            "undefined symbol: _Z29rocblas_internal_get_data_ptr",
        ],
        cause: "rocSOLVER 7, and hipBLAS through it, need functions that rocBLAS 6.3 does not have: \
                a bare link to librocblas.so.4 lacks them. The shim supplies them.",
        cure: "installer apply   (it takes a tree patched by links over)",
    },
    Known {
        title: "a function of rocBLAS is not found",
        signs: &["undefined symbol: rocblas_", "undefined symbol: *rocblas"],
        cause: "The librocblas.so.5 that the loader took is not the one that the program or library \
                was built for: often a link to another version, or an older copy on \
                LD_LIBRARY_PATH.",
        cure: "installer inspect   (shows what each name leads to); installer apply repairs the links",
    },
    Known {
        title: "the HIP runtime lacks a version that a library asks for",
        signs: &["version `hip_*' not found", "libamdhip64*version `*' not found"],
        cause: "A library was built for another HIP runtime than the libamdhip64 that was loaded: \
                an older one, or a file that is no HIP runtime under its name.",
        cure: "installer inspect   (shows what libamdhip64.so.6 and .so.7 lead to); take other \
               ROCm versions out of LD_LIBRARY_PATH",
    },
    Known {
        title: "built for a newer system",
        signs: &[
            "version `GLIBC_*' not found",
            "version `GLIBCXX_*' not found",
            "version `CXXABI_*' not found",
            "undefined reference to*@GLIBC",
        ],
        cause: "A file comes from a distribution with a newer C or C++ library: a package for \
                Ubuntu 24.04 on 22.04, or one of Arch Linux.",
        cure: "take the package of this release: rocblas_4.3.0.60300-39~22.04_amd64.deb for Ubuntu \
               22.04, ~24.04 for 24.04",
    },
    Known {
        title: "a program or library is empty or no ELF file",
        signs: &[
            "cannot execute binary file",
            "Exec format error",
            "exec format error",
            "file too short",
            "invalid ELF header",
        ],
        cause: "The file has nothing in it or is cut off. In an image it is usually a program whose \
                build failed behind a `;` or `|| true` of a RUN line: patched before llama.cpp was \
                compiled, CMake does not find librocblas.so.5.0.70002.",
        cure: "build it again, with `set -e` or `&&` in the RUN line; with `installer apply` it \
               builds before and after",
    },
    Known {
        title: "CMake does not find rocBLAS's file",
        signs: &[
            "The imported target \"roc::rocblas\" references the file",
            "librocblas.so.5.*needed by*missing and no known rule",
            "No rule to make target*librocblas.so.5.",
        ],
        cause: "rocBLAS's CMake package names librocblas.so.5.0.70002, and that was removed by hand.",
        cure: "installer apply   (leaves that name as a link to the shim; not with --no-build-link)",
    },
    Known {
        title: "no permission to use the GPU",
        signs: &[
            "is not member of \"render\" group",
            "/dev/kfd*Permission denied",
            "/dev/kfd*Operation not permitted",
            "/dev/dri/*Permission denied",
        ],
        cause: "The user is not in the group that owns /dev/kfd and /dev/dri/renderD*, or the \
                container was not given the group's number.",
        cure: "on a host: usermod -a -G render,video USER and log in again; in a container: \
               --group-add with the numbers that `installer inspect` prints",
    },
    Known {
        title: "no GPU is visible",
        signs: &[
            "rocBLAS error: Could not initialize Tensile host: No devices found",
            "no ROCm-capable device is detected",
            "hipErrorNoDevice",
            "ROCk module is NOT loaded",
            "/dev/kfd*No such file or directory",
        ],
        cause: "The amdgpu driver is not loaded, the container has no /dev/kfd, the user may not \
                open it, or HIP_VISIBLE_DEVICES or ROCR_VISIBLE_DEVICES hides every GPU.",
        cure: "docker run --device /dev/kfd --device /dev/dri --group-add GROUP ...; `installer \
               inspect` lists the GPUs and the groups",
    },
    Known {
        title: "the Tensile files of this GPU are missing",
        signs: &[
            "rocBLAS error: Cannot read *TensileLibrary",
            "rocBLAS error: Could not initialize Tensile",
            "TensileLibrary*for GPU arch",
            "List of available TensileLibrary Files",
        ],
        cause: "This rocBLAS has no matrix product kernels for the GPU. ROCm 7 ships none for \
                gfx906, gfx900 and others, or ROCBLAS_TENSILE_LIBPATH leads elsewhere.",
        cure: "unset ROCBLAS_TENSILE_LIBPATH; installer apply --backend \
               rocblas_4.3.0.60300-39~22.04_amd64.deb   (copying the files alone is not enough: the \
               kernels of TRSM are in the library itself)",
    },
];

#[cfg(test)]
mod tests;
