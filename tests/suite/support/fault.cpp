// Counts what a `prefab` process does to files, and makes one of these operations go wrong: a
// library to be preloaded, so that the program under test knows nothing of it.
//
//   PREFAB_FAULT=MODE:N          count  nothing goes wrong
//                                fail   operation N fails, a write half-way
//                                full   from N on, whatever takes room fails
//                                kill   operation N is the last one, a write half-way
//   PREFAB_FAULT_ROLE=VERB       processes of that verb alone: run, job
//   PREFAB_FAULT_COUNTER=FILE    8 bytes: operations so far, of all processes together
//
// Operations are creating, writing, syncing, renaming and removing files and folders.

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name) reinterpret_cast<decltype(&::name)>(dlsym(RTLD_NEXT, #name))

namespace {

enum class Mode { Off, Count, Fail, Full, Kill };

struct Fault {
  Mode mode = Mode::Off;
  uint64_t at = 0;
  uint64_t *counter = nullptr;

  Fault() {
    const char *wanted = getenv("PREFAB_FAULT"), *file = getenv("PREFAB_FAULT_COUNTER");
    const char *colon = wanted ? strchr(wanted, ':') : nullptr;
    if (!colon || !file || !is_meant())
      return;
    const int fd = NEXT(open)(file, O_RDWR | O_CLOEXEC);
    void *shared = fd < 0 ? MAP_FAILED : mmap(nullptr, 8, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
      return;
    counter = static_cast<uint64_t *>(shared);
    at = strtoull(colon + 1, nullptr, 10);
    const size_t length = colon - wanted;
    const auto is = [&](const char *word) {
      return strlen(word) == length && strncmp(wanted, word, length) == 0;
    };
    mode = is("fail") ? Mode::Fail : is("full") ? Mode::Full : is("kill") ? Mode::Kill : Mode::Count;
  }

  // Whether this is a `prefab` process of the wanted verb; git and the like are left alone.
  static bool is_meant() {
    char exe[4096];
    const ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (length < 7 || strncmp(exe + length - 7, "/prefab", 7) != 0)
      return false;
    const char *role = getenv("PREFAB_FAULT_ROLE");
    if (!role)
      return true;
    char line[4096] = {};
    const int fd = NEXT(open)("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    const ssize_t got = read(fd, line, sizeof line - 1);
    close(fd);
    return got > 0 && strcmp(line + strlen(line) + 1, role) == 0;
  }
};

Fault &fault() {
  static Fault it;
  return it;
}

// Whether the operation that is about to happen must go wrong.
bool due(bool takes_room) {
  Fault &f = fault();
  if (f.mode == Mode::Off)
    return false;
  const uint64_t at = __atomic_fetch_add(f.counter, 1, __ATOMIC_SEQ_CST);
  if (f.mode == Mode::Full)
    return takes_room && at >= f.at;
  return f.mode != Mode::Count && at == f.at;
}

// The end of an operation that is due: of the process, or an error.
int end(bool takes_room = true) {
  if (fault().mode == Mode::Kill)
    kill(getpid(), SIGKILL);
  errno = takes_room ? ENOSPC : EIO;
  return -1;
}

bool is_kept(int fd) {
  struct stat status;
  return fault().mode != Mode::Off && fstat(fd, &status) == 0 &&
         (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode));
}

} // namespace

extern "C" {

ssize_t write(int fd, const void *bytes, size_t count) {
  if (is_kept(fd) && due(true)) {
    (void)!NEXT(write)(fd, bytes, count / 2);
    return end();
  }
  return NEXT(write)(fd, bytes, count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  return is_kept(fd) && due(true) ? end() : NEXT(writev)(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  return is_kept(fd) && due(true) ? end() : NEXT(pwrite64)(fd, bytes, count, at);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t count, unsigned flags) {
  return is_kept(out) && due(true) ? end() : NEXT(copy_file_range)(in, from, out, to, count, flags);
}

int fsync(int fd) { return is_kept(fd) && due(true) ? end() : NEXT(fsync)(fd); }
int fdatasync(int fd) { return is_kept(fd) && due(true) ? end() : NEXT(fdatasync)(fd); }
int syncfs(int fd) { return is_kept(fd) && due(true) ? end() : NEXT(syncfs)(fd); }

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return (flags & O_CREAT) && due(true) ? end() : NEXT(open64)(path, flags, mode);
}

int mkdir(const char *path, mode_t mode) { return due(true) ? end() : NEXT(mkdir)(path, mode); }
int rename(const char *from, const char *to) { return due(true) ? end() : NEXT(rename)(from, to); }
int unlink(const char *path) { return due(false) ? end(false) : NEXT(unlink)(path); }
int rmdir(const char *path) { return due(false) ? end(false) : NEXT(rmdir)(path); }
int unlinkat(int folder, const char *path, int flags) {
  return due(false) ? end(false) : NEXT(unlinkat)(folder, path, flags);
}

} // extern "C"
