/* The shim's own functions. A librocblas.so.5 without them is not the shim: look them up with
 * dlsym(RTLD_DEFAULT, "rocblas_shim_version") if a program must run with either.
 *
 * Strings are never NULL unless said so, are empty where there is nothing to tell, and stay valid
 * until the process ends. All functions may be called from any thread at any time. Those that speak
 * of the backend open it if no rocBLAS call has done so yet. */
#ifndef ROCBLAS_SHIM_H
#define ROCBLAS_SHIM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the shim, such as "0.1.0". */
const char *rocblas_shim_version(void);

/* The backend that handles which this thread makes now belong to: its name in the store ("6.3.0"), or its
 * file name if it was chosen by path. */
const char *rocblas_shim_backend_name(void);

/* Its file, absolute. */
const char *rocblas_shim_backend_path(void);

/* What its rocblas_get_version_string answers, such as "4.3.0.3216-cbcdc2d". */
const char *rocblas_shim_backend_version(void);

/* Which promises of rocBLAS 5 the shim keeps for this backend, which does not keep them itself: names
 * separated by commas, such as "atomics,version". For a backend of ROCm 7 or later these are functions
 * that came after it ("herk-ex", "grouped-gemm", "batch-strides"). Each is switched off by
 * ROCBLAS_SHIM_COMPAT=-name,... or in [compat] of shim.toml. */
const char *rocblas_shim_compat(void);

/* Gives the handles that are made from now on, by any thread, to another backend: a name or a path, as
 * ROCBLAS_SHIM_BACKEND takes it; NULL: what the settings say. It is opened if it is not open; none is ever
 * closed, and there is room for eight. Handles that were made before stay with their backends until they
 * are destroyed. Returns 0 (rocblas_status_success), or 11 (rocblas_status_invalid_value) if it cannot be
 * opened: then nothing has changed, and a message on stderr says why. Opening may take seconds; calls of
 * other threads do not wait for it. */
int rocblas_shim_backend_use(const char *backend);

/* The name of the backend that a rocblas_handle belongs to; empty for a handle that was not made by a call
 * that went through the shim and has not been used in one. */
const char *rocblas_shim_backend_of(const void *handle);

/* How many of the exported functions neither the backend has nor the shim supplies. Calling one of
 * them answers rocblas_status_not_implemented. */
size_t rocblas_shim_missing_count(void);

/* The name, mangled if it is C++, of the missing function at a position below that count; NULL
 * from there on. */
const char *rocblas_shim_missing_name(size_t index);

/* What the exported functions jump to: "cold" (no call yet), "direct" (the functions of the only backend),
 * "routed" (the functions of several backends, each call to that of its handle), "traced" (either, and
 * calls are recorded) or "failed" (there is no backend). Opens nothing. */
const char *rocblas_shim_mode(void);

/* Why there is no backend: every place that was tried and why it failed. Empty if there is one. */
const char *rocblas_shim_error(void);

/* Starts a trace of the calls that this process makes from now on: into a directory in `place`, or as
 * lines to stderr if that is "stderr". `options` are those of ROCBLAS_SHIM_TRACE_OPTIONS, such as
 * "ring=64M,functions=*trsm*"; NULL for none. Returns NULL, or a sentence that says why not. */
const char *rocblas_shim_trace_start(const char *place, const char *options);

/* Stops it. Calls that other threads have under way are still completed in the trace. Returns NULL, or
 * a sentence that says why not. */
const char *rocblas_shim_trace_stop(void);

/* The directory of the trace that is on, once the first call has been recorded; empty for none. */
const char *rocblas_shim_trace_directory(void);

#ifdef __cplusplus
}
#endif

#endif
