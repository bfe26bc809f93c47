/* The shim's own functions. A librocblas.so.5 without them is not the shim: a program that must run with
 * either looks them up with dlsym(RTLD_DEFAULT, "rocblas_shim_version").
 *
 * Unless documented otherwise, returned strings are never NULL; they are empty if there is no value, and
 * stay valid until the process ends. All functions may be called from any thread at any time. Functions
 * about the backend open it if no rocBLAS call has done so yet. */
#ifndef ROCBLAS_SHIM_H
#define ROCBLAS_SHIM_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Returns the version of the shim, such as "0.1.0". */
const char *rocblas_shim_version(void);

/* Returns the name of the backend to which a handle belongs that this thread creates now: its name in the
 * store ("6.3.0"), or its file name if it was chosen by path. */
const char *rocblas_shim_backend_name(void);

/* Returns the absolute path of that backend's file. */
const char *rocblas_shim_backend_path(void);

/* Returns the text that that backend's rocblas_get_version_string stores, such as "4.3.0.3216-cbcdc2d". */
const char *rocblas_shim_backend_version(void);

/* Returns the promises of rocBLAS 5 that the shim keeps for that backend because it does not keep them
 * itself: names separated by commas, such as "atomics,version". For a backend of ROCm 7 or later these are
 * functions of later releases ("herk-ex", "grouped-gemm", "batch-strides"). ROCBLAS_SHIM_COMPAT=-name,...
 * or [compat] in shim.toml switches each one off. */
const char *rocblas_shim_compat(void);

/* Makes all handles that any thread creates from now on belong to another backend. `backend` is a name or a
 * path, as in ROCBLAS_SHIM_BACKEND, or NULL for the backend that the settings choose. The backend is opened
 * if it is not open yet. At most eight backends can be open, and none is closed before the process ends.
 * Existing handles stay with their backends until they are destroyed. Returns 0 (rocblas_status_success), or
 * 11 (rocblas_status_invalid_value) if the backend cannot be opened: then nothing is changed, and a message
 * on stderr gives the reason. Opening may take seconds; calls in other threads do not wait for it. */
int rocblas_shim_backend_use(const char *backend);

/* Returns the name of the backend that a rocblas_handle belongs to, or an empty string if the handle was
 * neither created through the shim nor used in a call through it. */
const char *rocblas_shim_backend_of(const void *handle);

/* Returns the number of exported functions that neither the backend nor the shim implements. A call of such
 * a function returns rocblas_status_not_implemented. */
size_t rocblas_shim_missing_count(void);

/* Returns the name, mangled if it is C++, of the missing function at a position below that count, or NULL
 * for any other position. */
const char *rocblas_shim_missing_name(size_t index);

/* Returns what the exported functions jump to: "cold" (there was no call yet), "direct" (the functions of the
 * only backend), "routed" (the functions of several backends; each call goes to the backend of its handle),
 * "traced" (as "direct" or "routed", and calls are recorded) or "failed" (there is no backend). Does not open
 * a backend. */
const char *rocblas_shim_mode(void);

/* Returns the reason why there is no backend: every place that was tried, and why it failed. Returns an
 * empty string if there is a backend. */
const char *rocblas_shim_error(void);

/* Starts a trace of the calls that this process makes from now on. It is written into a new directory in
 * `place`, or as lines to stderr if `place` is "stderr". `options` has the syntax of
 * ROCBLAS_SHIM_TRACE_OPTIONS, such as "ring=64M,functions=*trsm*"; NULL means none. Returns NULL on success,
 * or an error message. */
const char *rocblas_shim_trace_start(const char *place, const char *options);

/* Stops the trace. Calls that are in flight in other threads are still completed in it. Returns NULL on
 * success, or an error message. */
const char *rocblas_shim_trace_stop(void);

/* Returns the directory of the current trace, once the first call has been recorded, or an empty string if
 * there is none. */
const char *rocblas_shim_trace_directory(void);

#ifdef __cplusplus
}
#endif

#endif
