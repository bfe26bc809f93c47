//! Checks the table: counts taken from the vendor's binaries, order, lookups, roles.

use super::*;
use std::collections::BTreeSet;

#[test]
fn counts_are_those_of_the_vendors_headers_and_binaries() {
    // 1,213 declared by ROCm 7.2.4's headers, rocblas_shutdown, which has no prototype, and eleven that
    // were added up to ROCm 10.1.
    assert_eq!(c_exports().len(), 1_213 + 1 + 11);
    let of_7_2 = release("7.2").expect("known");
    let later = c_exports().iter().filter(|f| f.versions.has(of_7_2) == Some(false));
    assert_eq!(later.count(), 11);
    // rocSOLVER and others import C++ functions; rocBLAS itself has 922, and one vtable.
    assert_eq!(cxx_exports().len(), 922);
    assert_eq!(DATA, [("_ZTV24rocblas_internal_ostream", 32)]);
    let removed: Vec<&str> = removed().iter().map(|f| f.name).collect();
    assert_eq!(
        removed,
        [
            "rocblas_dgemm_kernel_name",
            "rocblas_gemm_batched_ex3",
            "rocblas_gemm_ex3",
            "rocblas_gemm_strided_batched_ex3",
            "rocblas_hgemm_kernel_name",
            "rocblas_sgemm_kernel_name",
        ]
    );
    // rocSOLVER 7.2.4's C++ imports, without which hipBLAS does not load.
    let rocsolver = cxx_exports().iter().filter(|f| f.importers.contains(&"rocsolver")).count();
    assert_eq!(rocsolver, 184);
}

#[test]
fn every_name_is_found_at_its_index_and_no_name_twice() {
    let names: BTreeSet<&str> = FUNCTIONS.iter().map(|f| f.name).collect();
    assert_eq!(names.len(), FUNCTIONS.len());
    for (i, f) in FUNCTIONS.iter().enumerate() {
        assert_eq!(usize::from(f.index), i);
        assert_eq!(by_name(f.name), Some(f));
        assert_eq!(by_index(i), Some(f));
        assert_eq!(f.exported(), i < EXPORTS);
    }
    assert_eq!(by_name("rocblas_sgem"), None);
    assert_eq!(by_index(FUNCTIONS.len()), None);
}

#[test]
fn packed_parameters_are_those_of_the_functions() {
    for function in exports() {
        let packed: Vec<Param> = params(usize::from(function.index)).collect();
        let unpacked = if function.kind == Kind::Cxx { &[] } else { function.params };
        assert_eq!(packed, unpacked, "{}", function.name);
    }
    assert_eq!(params(FUNCTIONS.len()).len(), 0);
    macro_rules! counts {
        ($(($index:literal $name:ident $count:literal))*) => {
            vec![$(($index, stringify!($name), $count)),*]
        };
    }
    let typed = c_exports().iter().filter(|f| f.kind == Kind::C);
    let expected: Vec<_> = typed.map(|f| (usize::from(f.index), f.name, f.params.len())).collect();
    assert_eq!(for_each_typed_export!(counts), expected);
}

#[test]
fn scalars_have_the_size_of_their_type() {
    let size = |function: &str, name: &str| {
        let function = by_name(function).expect("a function");
        scalar_size(function.params.iter().find(|p| p.name == name).expect("a parameter"))
    };
    assert_eq!(size("rocblas_hgemm", "alpha"), Some(2));
    assert_eq!(size("rocblas_zgemm", "beta"), Some(16));
    assert_eq!(size("rocblas_gemm_ex", "alpha"), Some(16));
    assert_eq!(size("rocblas_idamax", "result"), Some(4));
    assert_eq!(size("rocblas_drotm", "param"), Some(40));
    assert_eq!(size("rocblas_srotg_batched", "a"), None, "a device array");
    assert_eq!(size("rocblas_sgemm", "A"), None);
}

#[test]
fn the_macros_expand_to_the_same_list() {
    macro_rules! names {
        ($(($index:literal $name:ident))*) => { [$(($index, stringify!($name))),*] };
    }
    let expanded = for_each_export!(names);
    assert_eq!(expanded.len(), EXPORTS);
    for (index, name) in expanded {
        assert_eq!(FUNCTIONS[index].name, name);
    }
    for (index, name) in for_each_removed!(names) {
        assert_eq!(FUNCTIONS[index].name, name);
    }
    for (f, returns) in exports().iter().zip(RETURNS) {
        assert_eq!(f.returns, returns);
    }
}

#[test]
fn a_signature_reads_as_in_the_header() {
    let f = by_name("rocblas_strsm_batched").expect("llama.cpp's SOLVE_TRI calls it");
    assert_eq!(
        rust_declaration(f),
        "pub fn rocblas_strsm_batched(handle: *mut std::ffi::c_void, side: i32, uplo: i32, \
         transA: i32, diag: i32, m: i32, n: i32, alpha: *const f32, \
         A: *const *const f32, lda: i32, B: *const *mut f32, ldb: i32, batch_count: i32) -> i32;"
    );
    assert!(c_header([f]).contains(
        "rocblas_status rocblas_strsm_batched(rocblas_handle handle, rocblas_side side, \
         rocblas_fill uplo, rocblas_operation transA, rocblas_diagonal diag, rocblas_int m, \
         rocblas_int n, const float * alpha, const float *const * A, rocblas_int lda, \
         float *const * B, rocblas_int ldb, rocblas_int batch_count);"
    ));
    assert_eq!(f.whose, Whose::Handle(0));
    let scalars: Vec<_> = f.scalars().map(|(i, p, d)| (i, p.name, d)).collect();
    assert_eq!(scalars, [(7, "alpha", Direction::In)]);
}

#[test]
fn every_function_names_the_backend_that_its_calls_go_to() {
    let whose = |name| by_name(name).expect("in the table").whose;
    assert_eq!(whose("rocblas_create_handle"), Whose::Device);
    assert_eq!(whose("rocblas_set_vector"), Whose::Any);
    assert_eq!(whose("rocblas_shutdown"), Whose::All);
    assert_eq!(whose("rocblas_device_malloc_alloc"), Whose::Handle(0));
    assert_eq!(whose("rocblas_device_malloc_free"), Whose::DeviceMalloc(0));
    let without = c_exports().iter().filter(|f| !matches!(f.whose, Whose::Handle(_)));
    assert_eq!(without.count(), 31);
    // The shim's entries support handles in the first two parameters, and these objects in the first one.
    for f in exports() {
        let places = [Whose::Handle(0), Whose::Handle(1), Whose::DeviceMalloc(0)];
        let is_owned = matches!(f.whose, Whose::Handle(_) | Whose::DeviceMalloc(_));
        assert_eq!(is_owned, places.contains(&f.whose), "{}", f.name);
        assert_eq!(WHOSE[usize::from(f.index)], f.whose, "{}", f.name);
    }
}

#[test]
fn names_of_cxx_functions_agree_with_whose_their_calls_are() {
    for f in cxx_exports() {
        // A handle by pointer, or a member function of the handle.
        let has_handle =
            f.name.contains("P15_rocblas_handle") || f.name.contains("N15_rocblas_handle");
        assert_eq!(matches!(f.whose, Whose::Handle(_)), has_handle, "{}", f.name);
        let is_size = f.name.contains("workspace_") || f.name.contains("temp_elements");
        assert_eq!(matches!(f.whose, Whose::Max { .. }), is_size && !has_handle, "{}", f.name);
        if let Whose::Max { count, .. } = f.whose {
            assert_eq!(count == 0, f.returns == Returns::Size, "{}", f.name);
            // `Pm` for the first and `S2_` or the like for each that follows.
            let (_, sizes) = f.name.rsplit_once("Pm").unwrap_or_default();
            assert_eq!(
                usize::from(count),
                usize::from(count > 0) + sizes.matches('_').count(),
                "{}",
                f.name
            );
        }
    }
}

#[test]
fn no_c_parameter_is_a_float_or_a_struct_by_value() {
    // This makes it possible to capture every argument of a C function as a general register or
    // stack word.
    for f in FUNCTIONS.iter().filter(|f| f.kind != Kind::Cxx) {
        for p in f.params.iter().filter(|p| p.ty.pointers == 0) {
            let by_value_in_a_vector_register = matches!(
                p.ty.base,
                Base::F16 | Base::Bf16 | Base::F32 | Base::F64 | Base::C32 | Base::C64
            );
            assert!(!by_value_in_a_vector_register, "{} {}", f.name, p.name);
        }
    }
    assert_eq!(FUNCTIONS.iter().map(|f| f.params.len()).max(), Some(30));
    let variadic: Vec<&str> =
        FUNCTIONS.iter().filter(|f| f.kind == Kind::Variadic).map(|f| f.name).collect();
    assert_eq!(
        variadic,
        ["rocblas_device_malloc_alloc", "rocblas_set_optimal_device_memory_size_impl"]
    );
}

#[test]
fn every_scalar_is_a_pointer_and_every_result_is_written() {
    for f in &FUNCTIONS {
        for (_, p, direction) in f.scalars() {
            assert!(p.ty.pointers >= 1, "{} {}", f.name, p.name);
            assert_eq!(p.ty.constant, direction == Direction::In, "{} {}", f.name, p.name);
        }
        for p in f.params.iter().filter(|p| ["alpha", "beta", "result"].contains(&p.name)) {
            assert!(p.scalar.is_some(), "{} {}", f.name, p.name);
        }
    }
}

#[test]
fn enum_names_and_values_convert_both_ways() {
    let fill = enum_by_name("rocblas_fill").expect("in the table");
    assert_eq!(fill.value_of("rocblas_fill_upper"), Some(121));
    assert_eq!(fill.name_of(121), Some("rocblas_fill_upper"));
    assert_eq!(fill.short_name_of(121), Some("upper"));
    assert_eq!(fill.name_of(0), None);
    let status = enumeration(EnumId::Status);
    assert_eq!(status.short_name_of(2), Some("not_implemented"));
    let math = enumeration(EnumId::MathMode);
    assert_eq!(math.short_name_of(1), Some("xf32_xdl_math_op"));
    for (i, e) in ENUMS.iter().enumerate() {
        assert_eq!(e.id as usize, i);
        for v in e.values {
            assert_eq!(e.value_of(v.name), Some(v.value));
            assert_eq!(e.name_of(v.value), Some(v.name));
        }
    }
}

#[test]
fn versions_distinguish_yes_no_and_unknown() {
    let has = |name, rocm| {
        by_name(name).expect("in the table").versions.has(release(rocm).expect("a release"))
    };
    assert_eq!(has("rocblas_sgemm", "6.3"), Some(true));
    assert_eq!(has("rocblas_sgemm", "10.1"), Some(true), "an open range includes later releases");
    assert_eq!(has("rocblas_gemm_ex3", "6.4"), Some(true));
    assert_eq!(has("rocblas_gemm_ex3", "7.0"), Some(false));
    assert_eq!(has("rocblas_syrk_ex", "6.4"), Some(false));
    assert_eq!(has("rocblas_syrk_ex", "7.2"), Some(true));
    assert_eq!(has("rocblas_herk_ex", "7.13"), Some(true));
    assert_eq!(has("rocblas_set_batch_alpha_stride", "7.13"), Some(false));
    assert_eq!(has("rocblas_sgemm_grouped_batched", "10.0"), Some(false));
    assert_eq!(has("rocblas_sgemm_grouped_batched", "10.1"), Some(true));
    assert_eq!(has("_ZN24rocblas_internal_ostream5flushEv", "6.3"), None);
    assert_eq!(has("_ZN24rocblas_internal_ostream5flushEv", "10.1"), None);
}

#[test]
fn what_is_presented_is_a_release_with_the_soname_of_rocm_7() {
    assert_eq!((PRESENTED, SONAME), ("5.0.2", "librocblas.so.5"));
    let presented = RELEASES.iter().find(|release| release.rocblas == PRESENTED);
    assert_eq!(presented.map(|release| release.soname), Some(SONAME));
    for f in &FUNCTIONS {
        let mut of_5 = RELEASES.iter().filter(|release| release.soname == SONAME);
        assert_eq!(f.exported(), of_5.any(|r| f.versions.has(r) == Some(true)), "{}", f.name);
    }
}

#[test]
fn a_trees_release_decides_what_is_presented_in_it() {
    assert_eq!(presented_in("7.2.4"), Some("5.2.0"));
    assert_eq!(presented_in("7.2"), Some("5.2.0"));
    assert_eq!(presented_in("7.13.1"), Some("5.4.0"), "not 7.1");
    assert_eq!(presented_in("10.1.0"), Some("5.7.0"));
    for other in ["7.1.1", "7", "6.4.4", "", "70.2"] {
        assert_eq!(presented_in(other), None, "{other}");
    }
}

#[test]
fn parameters_that_no_released_header_confirms_are_marked() {
    let unconfirmed: Vec<(&str, &str)> = FUNCTIONS
        .iter()
        .flat_map(|f| f.params.iter().filter(|p| !p.confirmed).map(|p| (f.name, p.name)))
        .collect();
    assert_eq!(
        unconfirmed,
        [
            ("rocblas_gemm_grouped_batched_ex", "solution_index"),
            ("rocblas_gemm_grouped_batched_ex", "flags"),
            ("rocblas_gemm_grouped_batched_ex_64", "solution_index"),
            ("rocblas_gemm_grouped_batched_ex_64", "flags"),
        ]
    );
    let header = c_header([by_name("rocblas_gemm_grouped_batched_ex").expect("known")]);
    assert!(
        header.contains("/* No released header confirms: solution_index, flags */\nrocblas_status")
    );
}

#[test]
fn prototypes_are_the_declarations() {
    fn parameters<Prototype>() -> String {
        std::any::type_name::<Prototype>().replace("core::ffi::c_void", "std::ffi::c_void")
    }
    macro_rules! prototypes {
        ($(($index:literal $name:ident $count:literal))*) => {
            vec![$(($index, parameters::<prototype::$name>())),*]
        };
    }
    for (index, prototype) in for_each_typed_export!(prototypes) {
        let declaration = rust_declaration(by_index(index).expect("an export"));
        let (_, rest) = declaration.split_once('(').expect("a function");
        let (params, returns) = rest.rsplit_once(')').expect("a function");
        let params = params.split(", ").filter_map(|p| p.split_once(": ").map(|(_, ty)| ty));
        let params = params.collect::<Vec<_>>().join(", ");
        // `c_char` is an alias, and `type_name` returns the name of the actual type.
        let returns = returns.trim_end_matches(';').replace("std::ffi::c_char", "i8");
        let params = params.replace("std::ffi::c_char", "i8");
        assert_eq!(prototype, format!("unsafe extern \"C\" fn({params}){returns}"));
    }
}

#[test]
fn values_are_those_of_the_enums() {
    assert_eq!(value::status::NOT_IMPLEMENTED, 2);
    assert_eq!(value::operation::CONJUGATE_TRANSPOSE, 113);
    assert_eq!(value::datatype::BF16_R, 168);
    assert_eq!(value::atomics_mode::ATOMICS_ALLOWED, 1);
}
