/* A library to preload: the call number FAULT_AT under the folder FAULT_FOLDER fails with the error FAULT_ERRNO.
   Calls that write count, or, where FAULT_CALLS is "reads", those that read. Each counted one is a line of FAULT_LOG. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_int calls;

static int are_reads_counted(void) {
    const char *calls = getenv("FAULT_CALLS");
    return calls && strcmp(calls, "reads") == 0;
}

static int fails_as(int reads, const char *name, const char *path) {
    if (reads != are_reads_counted()) return 0;
    const char *folder = getenv("FAULT_FOLDER"), *log = getenv("FAULT_LOG");
    if (!folder || !path || strncmp(path, folder, strlen(folder)) != 0) return 0;
    int number = atomic_fetch_add(&calls, 1) + 1;
    int at = atoi(getenv("FAULT_AT"));
    if (log) {
        int file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0644);
        char line[PATH_MAX + 64];
        int size = snprintf(line, sizeof line, "%d %s %s%s\n", number, name, path, number == at ? " FAILED" : "");
        syscall(SYS_write, file, line, size);
        syscall(SYS_close, file);
    }
    if (number != at) return 0;
    errno = atoi(getenv("FAULT_ERRNO"));
    return 1;
}

static int fails(const char *name, const char *path) { return fails_as(0, name, path); }

static int descriptor_fails_as(int reads, const char *name, int descriptor) {
    if (reads != are_reads_counted()) return 0;
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return fails_as(reads, name, path);
}

static int descriptor_fails(const char *name, int descriptor) { return descriptor_fails_as(0, name, descriptor); }
static int read_fails(const char *name, int descriptor) { return descriptor_fails_as(1, name, descriptor); }

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int f, const void *b, size_t n) { return descriptor_fails("write", f) ? -1 : REAL(write)(f, b, n); }
ssize_t pwrite(int f, const void *b, size_t n, off_t o) { return descriptor_fails("pwrite", f) ? -1 : REAL(pwrite)(f, b, n, o); }
ssize_t pwrite64(int f, const void *b, size_t n, off64_t o) { return descriptor_fails("pwrite64", f) ? -1 : REAL(pwrite64)(f, b, n, o); }
ssize_t read(int f, void *b, size_t n) { return read_fails("read", f) ? -1 : REAL(read)(f, b, n); }
ssize_t pread(int f, void *b, size_t n, off_t o) { return read_fails("pread", f) ? -1 : REAL(pread)(f, b, n, o); }
ssize_t pread64(int f, void *b, size_t n, off64_t o) { return read_fails("pread64", f) ? -1 : REAL(pread64)(f, b, n, o); }
DIR *opendir(const char *p) { return fails_as(1, "opendir", p) ? NULL : REAL(opendir)(p); }
int fsync(int f) { return descriptor_fails("fsync", f) ? -1 : REAL(fsync)(f); }
int fdatasync(int f) { return descriptor_fails("fdatasync", f) ? -1 : REAL(fdatasync)(f); }
int ftruncate(int f, off_t n) { return descriptor_fails("ftruncate", f) ? -1 : REAL(ftruncate)(f, n); }
int ftruncate64(int f, off64_t n) { return descriptor_fails("ftruncate64", f) ? -1 : REAL(ftruncate64)(f, n); }
int rename(const char *a, const char *b) { return fails("rename", b) ? -1 : REAL(rename)(a, b); }
int link(const char *a, const char *b) { return fails("link", b) ? -1 : REAL(link)(a, b); }
int linkat(int d, const char *a, int e, const char *b, int f) { return fails("linkat", b) ? -1 : REAL(linkat)(d, a, e, b, f); }
int unlink(const char *p) { return fails("unlink", p) ? -1 : REAL(unlink)(p); }
int mkdir(const char *p, mode_t m) { return fails("mkdir", p) ? -1 : REAL(mkdir)(p, m); }

#define WRITES(flags) ((flags) & (O_CREAT | O_WRONLY | O_RDWR))
#define MODE(flags) mode_t mode = 0; if ((flags) & O_CREAT) { va_list l; va_start(l, flags); mode = va_arg(l, mode_t); va_end(l); }

int open(const char *p, int flags, ...) { MODE(flags) return fails_as(!WRITES(flags), "open", p) ? -1 : REAL(open)(p, flags, mode); }
int open64(const char *p, int flags, ...) { MODE(flags) return fails_as(!WRITES(flags), "open64", p) ? -1 : REAL(open64)(p, flags, mode); }
int openat(int d, const char *p, int flags, ...) { MODE(flags) return fails_as(!WRITES(flags), "openat", p) ? -1 : REAL(openat)(d, p, flags, mode); }
int openat64(int d, const char *p, int flags, ...) { MODE(flags) return fails_as(!WRITES(flags), "openat64", p) ? -1 : REAL(openat64)(d, p, flags, mode); }
