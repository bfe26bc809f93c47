//! A client that calls every function of rocSOLVER, generated from the prototypes in its header: with a
//! handle, memory and small sizes. Each call is made in a separate child, as in `every_function`.

use std::fmt::Write;

/// The order of matrices; vectors and strides have enough room for them.
const SIZE: usize = 24;

/// The values of enumerations, by their types. Each is the first or simplest case.
const VALUES: [(&str, &str); 14] = [
    ("rocblas_operation", "rocblas_operation_none"),
    ("rocblas_fill", "rocblas_fill_upper"),
    ("rocblas_diagonal", "rocblas_diagonal_non_unit"),
    ("rocblas_side", "rocblas_side_left"),
    ("rocblas_direct", "rocblas_forward_direction"),
    ("rocblas_storev", "rocblas_column_wise"),
    ("rocblas_svect", "rocblas_svect_all"),
    ("rocblas_workmode", "rocblas_outofplace"),
    ("rocblas_evect", "rocblas_evect_original"),
    ("rocblas_eform", "rocblas_eform_ax"),
    ("rocblas_erange", "rocblas_erange_all"),
    ("rocblas_eorder", "rocblas_eorder_entire"),
    ("rocblas_esort", "rocblas_esort_ascending"),
    ("rocblas_srange", "rocblas_srange_all"),
];

/// The part of the client before the calls.
const BEGINNING: &str = r#"
#define __HIP_PLATFORM_AMD__ 1
#include <rocsolver/rocsolver.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void begins(const char *name) {
    const char *path = getenv("RECORDING_HIP_LOG");
    FILE *log = path ? fopen(path, "a") : 0;
    if (log) { fprintf(log, "call %s\n", name); fclose(log); }
}
static void *memory(void) {
    void *p = 0;
    if (hipMalloc(&p, 1 << 20)) abort();
    memset(p, 0, 1 << 20);
    return p;
}
static void *pointers(void) {
    void **all = memory();
    for (int i = 0; i < 2; i++) all[i] = memory();
    return all;
}
#define CALL(name, call) do { \
    fflush(stdout); \
    pid_t child = fork(); \
    if (!child) { \
        alarm(20); begins(name); \
        printf("%s: %d\n", name, (int)(call)); fflush(stdout); _exit(0); \
    } \
    int status = 0; \
    waitpid(child, &status, 0); \
    if (WIFSIGNALED(status)) printf("%s: signal %d\n", name, WTERMSIG(status)); \
} while (0)
int main(void) {
    rocblas_handle handle = 0;
    if (rocblas_create_handle(&handle)) return 1;
    void *any = memory(), *batch = pointers();
"#;

/// The client's source, and the number of functions that it calls.
#[must_use]
pub fn client(header: &str) -> (String, usize) {
    let text = without_comments(header);
    let mut source = BEGINNING.to_owned();
    let mut count = 0;
    for declaration in text.split("ROCSOLVER_EXPORT").skip(1) {
        let declaration = declaration.split(';').next().unwrap_or_default();
        let Some((before, parameters)) = declaration.split_once('(') else { continue };
        let name = before.split_whitespace().last().unwrap_or_default();
        let parameters = parameters.rsplit_once(')').map_or(parameters, |(list, _)| list);
        let arguments: Vec<String> = parameters.split(',').map(argument).collect();
        let _ = writeln!(source, "    CALL(\"{name}\", {name}({}));", arguments.join(", "));
        count += 1;
    }
    source += "    return 0;\n}\n";
    (source, count)
}

/// The argument for a parameter, such as `const rocblas_int lda`.
fn argument(parameter: &str) -> String {
    let words: Vec<&str> = parameter.split_whitespace().filter(|word| *word != "const").collect();
    let name = words.last().copied().unwrap_or_default().trim_start_matches('*');
    let declared = words.join(" ");
    let kind = words.first().copied().unwrap_or_default();
    if declared.contains("[]") || declared.matches('*').count() > 1 {
        return "batch".to_owned();
    }
    if declared.contains('*') {
        return "any".to_owned();
    }
    if let Some((_, value)) = VALUES.iter().find(|(of, _)| *of == kind) {
        return (*value).to_owned();
    }
    match (kind, name) {
        ("rocblas_handle", _) => "handle".to_owned(),
        ("rocblas_int" | "int64_t" | "rocblas_stride" | "int", _) if name.starts_with("stride") => {
            (SIZE * SIZE).to_string()
        }
        ("rocblas_int" | "int64_t" | "int", "batch_count") => "2".to_owned(),
        ("rocblas_int" | "int64_t" | "int", "k1" | "il") => "1".to_owned(),
        ("rocblas_int" | "int64_t" | "int", _) if name.starts_with("inc") => "1".to_owned(),
        ("rocblas_int" | "int64_t" | "int" | "size_t", _) => SIZE.to_string(),
        ("void", _) => String::new(),
        ("float" | "double", _) => "1".to_owned(),
        _ => format!("({kind})0"),
    }
}

fn without_comments(text: &str) -> String {
    let mut rest = text;
    let mut without = String::new();
    while let Some((before, comment)) = rest.split_once("/*") {
        without += before;
        rest = comment.split_once("*/").map_or("", |(_, after)| after);
    }
    without += rest;
    let lines = without.lines().map(|line| line.split("//").next().unwrap_or_default());
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_chosen_by_types_and_names() {
        let header = "#define ROCSOLVER_EXPORT\n/*! ROCSOLVER_EXPORT no(int); */\n\
            ROCSOLVER_EXPORT rocblas_status rocsolver_f(rocblas_handle handle, const rocblas_fill uplo,\n\
            const rocblas_int n, float* const A[], const rocblas_int lda, double* w, \
            const rocblas_stride strideA, rocsolver_rfinfo info, const rocblas_int batch_count);\n";
        let (source, count) = client(header);
        assert_eq!(count, 1);
        let call = "rocsolver_f(handle, rocblas_fill_upper, 24, batch, 24, any, 576, (rocsolver_rfinfo)0, 2)";
        assert!(source.contains(call), "{source}");
    }
}
