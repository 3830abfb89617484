/* Loaded before the C library (LD_PRELOAD): the n-th call of one kind that works below one folder fails.

   fail_at(kind, n, error, folder) arms it in this process; calls_seen() says how many such calls were made. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char armed_kind[16], armed_folder[4096];
static long armed_at = -1, seen = 0;
static int armed_error = 0;

void fail_at(const char *kind, long at, int error, const char *folder) {
  snprintf(armed_kind, sizeof armed_kind, "%s", kind);
  snprintf(armed_folder, sizeof armed_folder, "%s", folder);
  armed_at = at, armed_error = error, seen = 0;
}

long calls_seen(void) { return seen; }

static int fails(const char *kind, const char *path) {
  if (armed_at < 0 || strcmp(kind, armed_kind) || !path || strncmp(path, armed_folder, strlen(armed_folder))) return 0;
  if (++seen != armed_at) return 0;
  errno = armed_error;
  return 1;
}

static int fails_at_handle(const char *kind, int handle) {
  char link[64], path[4096];
  if (armed_at < 0 || strcmp(kind, armed_kind)) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return fails(kind, path);
}

#define NEXT(type, name) static type (*next)(); if (!next) next = (type (*)())dlsym(RTLD_NEXT, #name)

int open64(const char *path, int flags, ...) {
  va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more);
  NEXT(int, open64);
  return fails((flags & (O_CREAT | O_WRONLY | O_RDWR)) ? "open" : "read", path) ? -1 : next(path, flags, mode);
}
int open(const char *path, int flags, ...) {
  va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more);
  NEXT(int, open);
  return fails((flags & (O_CREAT | O_WRONLY | O_RDWR)) ? "open" : "read", path) ? -1 : next(path, flags, mode);
}
ssize_t write(int handle, const void *data, size_t size) {
  NEXT(ssize_t, write);
  return fails_at_handle("write", handle) ? -1 : next(handle, data, size);
}
int fsync(int handle) { NEXT(int, fsync); return fails_at_handle("fsync", handle) ? -1 : next(handle); }
int rename(const char *from, const char *to) { NEXT(int, rename); return fails("rename", to) ? -1 : next(from, to); }
int mkdir(const char *path, mode_t mode) { NEXT(int, mkdir); return fails("mkdir", path) ? -1 : next(path, mode); }
