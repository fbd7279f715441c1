// SPDX-License-Identifier: MIT
// A disk that breaks when told to, for tests: loaded before the C library (LD_PRELOAD). While the file named by
// BROKEN_DISK holds a number, every write and flush of a file fails with that errno.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int fault(int file) {
  const char *path = getenv("BROKEN_DISK");
  struct stat about;
  if (path == NULL || fstat(file, &about) != 0 || !S_ISREG(about.st_mode)) return 0;
  const int kept = errno;
  const int control = open(path, O_RDONLY | O_CLOEXEC);
  if (control < 0) {
    errno = kept;
    return 0;
  }
  char text[16] = {0};
  const ssize_t size = read(control, text, sizeof text - 1);
  close(control);
  const int number = size > 0 ? atoi(text) : 0;
  errno = number > 0 ? number : kept;
  return number > 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at) {
  return fault(file) ? -1 : REAL(pwrite)(file, bytes, size, at);
}
ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t at) {
  return fault(file) ? -1 : REAL(pwrite64)(file, bytes, size, at);
}
ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) {
  return fault(file) ? -1 : REAL(pwritev)(file, parts, count, at);
}
ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at) {
  return fault(file) ? -1 : REAL(pwritev64)(file, parts, count, at);
}
ssize_t writev(int file, const struct iovec *parts, int count) {
  return fault(file) ? -1 : REAL(writev)(file, parts, count);
}
int fdatasync(int file) { return fault(file) ? -1 : REAL(fdatasync)(file); }
int fsync(int file) { return fault(file) ? -1 : REAL(fsync)(file); }
