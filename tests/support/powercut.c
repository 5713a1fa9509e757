/* A disk that loses what was not synced: preloaded into the service under test.
 *
 * POWERCUT_STORE is the directory that is watched, POWERCUT_SHADOW/tree holds what a power cut would leave of it.
 * The shadow begins as a copy of the store, made by the test before the start. From then on:
 *
 *   - bytes and lengths enter the shadow when fsync or fdatasync on their file has succeeded, never before;
 *     sync_file_range counts for nothing;
 *   - a new file's name enters when the file or its directory has been synced;
 *   - a rename or a removal enters when a directory it touches has been synced.
 *
 * Writes and syncs are taken one at a time, so that a sync covers exactly the writes that came back before it. Which
 * unsynced pages survive by chance is the test's to decide, from the difference of the two directories.
 *
 * POWERCUT_IGNORE_FDATASYNC=1  fdatasync succeeds and does nothing
 * POWERCUT_FAIL_FSYNC=EIO|ENOSPC  while the file POWERCUT_TRIGGER exists, syncs fail with it, and the file loses what it was
 *                              to make durable, as on Linux, whose page cache may drop such pages
 * POWERCUT_FAIL_FSYNC=HANG     while the file POWERCUT_TRIGGER exists, syncs do not return
 * POWERCUT_SYNC_MS=n           each sync of a file takes n milliseconds longer, as on a slow disk
 * POWERCUT_FAIL_READ=n         while the file POWERCUT_TRIGGER exists, reads of sled's file fail with the errno n,
 * POWERCUT_FAIL_READ_FROM=n    and only those that begin at this byte or later
 * POWERCUT_CLOCK_SECONDS=n     while the file POWERCUT_TRIGGER exists, the clock shows n seconds more (or less)
 *
 * POWERCUT_SHADOW/most-unsynced, once it exists, holds the most bytes that were written to sled's file between two of its
 * syncs. (sled fills up a segment when it opens a database, so a test makes the file when the service serves.)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { FILES = 4096, OPERATIONS = 4096 };
struct range { off_t from, to; };
struct file {
    dev_t dev; ino_t ino;            /* ino 0: a free slot, or a file without a name */
    char shadow[PATH_MAX];           /* where its durable bytes are */
    char name[PATH_MAX];             /* its path below the store */
    int unnamed;                     /* its name is not durable yet */
    off_t cut;                       /* the shortest it was since the last sync; -1 when it was not cut */
    struct range *dirty; size_t count, room;
    off_t unsynced;                  /* bytes written since the last sync, also those written twice */
};
struct operation { char from[PATH_MAX], to[PATH_MAX]; };  /* to is empty: a removal */

static struct file files[FILES];
static struct operation pending[OPERATIONS];
static size_t waiting;
static unsigned long made;
static char store[PATH_MAX], shadow[PATH_MAX];
static const char *trigger, *failing, *clock_shift;
static int ignore_fdatasync, fail_read;
static off_t fail_read_from, most_unsynced;
static useconds_t sync_takes;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

#define REAL(result, name, ...) static result (*real_##name)(__VA_ARGS__)
REAL(int, open, const char *, int, ...);
REAL(int, openat, int, const char *, int, ...);
REAL(ssize_t, read, int, void *, size_t);
REAL(ssize_t, pread, int, void *, size_t, off_t);
REAL(ssize_t, sendfile, int, int, off_t *, size_t);
REAL(ssize_t, write, int, const void *, size_t);
REAL(ssize_t, writev, int, const struct iovec *, int);
REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
REAL(int, ftruncate, int, off_t);
REAL(int, rename, const char *, const char *);
REAL(int, unlink, const char *);
REAL(int, unlinkat, int, const char *, int);
REAL(int, fsync, int);
REAL(int, fdatasync, int);
REAL(int, clock_gettime, clockid_t, struct timespec *);

static void give_up(const char *what) {
    dprintf(2, "powercut: %s: %s\n", what, strerror(errno));
    abort();
}

static void prepare(void) {
#define FIND(name) if (!(*(void **)&real_##name = dlsym(RTLD_NEXT, #name))) give_up(#name)
    FIND(open); FIND(openat); FIND(read); FIND(pread); FIND(sendfile); FIND(write); FIND(writev); FIND(pwrite); FIND(ftruncate); FIND(rename);
    FIND(unlink); FIND(unlinkat); FIND(fsync); FIND(fdatasync); FIND(clock_gettime);
    const char *text = getenv("POWERCUT_STORE");
    if (text) snprintf(store, sizeof store, "%s", text);
    if ((text = getenv("POWERCUT_SHADOW"))) snprintf(shadow, sizeof shadow, "%s", text);
    trigger = getenv("POWERCUT_TRIGGER");
    failing = getenv("POWERCUT_FAIL_FSYNC");
    clock_shift = getenv("POWERCUT_CLOCK_SECONDS");
    fail_read = (text = getenv("POWERCUT_FAIL_READ")) ? atoi(text) : 0;
    fail_read_from = (text = getenv("POWERCUT_FAIL_READ_FROM")) ? atol(text) : 0;
    ignore_fdatasync = getenv("POWERCUT_IGNORE_FDATASYNC") != NULL;
    if ((text = getenv("POWERCUT_SYNC_MS"))) sync_takes = 1000 * (useconds_t)atol(text);
}
static void begin(void) { pthread_once(&once, prepare); pthread_mutex_lock(&lock); }
static void end(void) { pthread_mutex_unlock(&lock); }
static int triggered(void) { return trigger && access(trigger, F_OK) == 0; }

/* The part below the store ("" for the store itself), or NULL for any other path. */
static const char *below(const char *path) {
    size_t length = strlen(store);
    if (!length || strncmp(path, store, length)) return NULL;
    return path[length] == '/' ? path + length + 1 : path[length] ? NULL : path + length;
}
static int absolute(int directory, const char *path, char *out) {
    if (path[0] == '/') return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX;
    char link[64], base[PATH_MAX];
    if (directory == AT_FDCWD) { if (!getcwd(base, sizeof base)) return 0; }
    else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0) return 0;
        base[length] = 0;
    }
    return snprintf(out, PATH_MAX, "%s/%s", base, path) < PATH_MAX;
}
static void in_tree(const char *name, char *out) {
    if (snprintf(out, PATH_MAX, "%s/tree/%s", shadow, name) >= PATH_MAX) give_up("a path is too long");
}
static void make_parents(char *path, int itself) {
    for (char *at = path + strlen(shadow) + 1; *at; at++)
        if (*at == '/') { *at = 0; mkdir(path, 0700); *at = '/'; }
    if (itself) mkdir(path, 0700);
}

static struct file *known(const struct stat *about) {
    for (int at = 0; at < FILES; at++)
        if (files[at].ino == about->st_ino && files[at].dev == about->st_dev) return &files[at];
    return NULL;
}
static struct file *take_note(const struct stat *about, const char *name, int is_new) {
    struct stat none = {0};
    struct file *file = known(&none);
    for (int at = 0; at < FILES; at++) if (!files[at].ino) { file = &files[at]; break; }
    if (!file || file->ino) give_up("too many files");
    free(file->dirty);
    memset(file, 0, sizeof *file);
    file->dev = about->st_dev; file->ino = about->st_ino; file->cut = -1; file->unnamed = is_new;
    snprintf(file->name, sizeof file->name, "%s", name);
    if (is_new) {
        snprintf(file->shadow, sizeof file->shadow, "%.4000s/unnamed-%lu", shadow, made++);
        int fd = real_open(file->shadow, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        if (fd < 0) give_up("a shadow cannot be made");
        close(fd);
    } else in_tree(name, file->shadow);
    return file;
}
/* The watched file behind this descriptor, if it is one. */
static struct file *watched(int fd) {
    struct stat about;
    if (!store[0] || fstat(fd, &about) || !S_ISREG(about.st_mode)) return NULL;
    return known(&about);
}
static void cut_to(struct file *file, off_t length) {
    if (file->cut < 0 || length < file->cut) file->cut = length;
}
static void dirtied(struct file *file, off_t from, ssize_t length) {
    if (length <= 0) return;
    file->unsynced += length;
    struct range *last = file->count ? &file->dirty[file->count - 1] : NULL;
    if (last && from >= last->from && from <= last->to) {
        if (from + length > last->to) last->to = from + length;
        return;
    }
    if (file->count == file->room) {
        file->room = file->room ? file->room * 2 : 64;
        if (!(file->dirty = realloc(file->dirty, file->room * sizeof *file->dirty))) give_up("no memory");
    }
    file->dirty[file->count++] = (struct range){from, from + length};
}
static void copy_dirty(struct file *file, int from, int to) {
    static char piece[1 << 16];
    for (size_t at = 0; at < file->count; at++)
        for (off_t here = file->dirty[at].from; here < file->dirty[at].to;) {
            size_t want = file->dirty[at].to - here;
            ssize_t got = real_pread(from, piece, want < sizeof piece ? want : sizeof piece, here);
            if (got <= 0) break;   /* cut off meanwhile */
            if (real_pwrite(to, piece, got, here) != got) give_up("a copy cannot be written");
            here += got;
        }
}
static void name_it(struct file *file) {
    if (!file->unnamed) return;
    char path[PATH_MAX];
    in_tree(file->name, path);
    make_parents(path, 0);
    if (real_rename(file->shadow, path)) give_up("a shadow cannot be named");
    strcpy(file->shadow, path);
    file->unnamed = 0;
}
static void note_unsynced(struct file *file) {
    char path[PATH_MAX], text[32];
    off_t unsynced = file->unsynced;
    const char *base = strrchr(file->name, '/');
    file->unsynced = 0;
    if (!base || strcmp(base, "/db")) return;
    snprintf(path, sizeof path, "%.4000s/most-unsynced", shadow);
    if (unsynced <= most_unsynced || access(path, F_OK)) return;
    most_unsynced = unsynced;
    int length = snprintf(text, sizeof text, "%lld", (long long)unsynced);
    int fd = real_open(path, O_WRONLY | O_TRUNC);
    if (fd < 0 || real_write(fd, text, length) != length) give_up("the count cannot be written");
    close(fd);
}
static void resolve(struct file *file, int fd, int lose) {
    struct stat about;
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int ours = real_open(link, O_RDWR | O_CLOEXEC), copy = real_open(file->shadow, O_RDWR | O_CLOEXEC);
    if (ours < 0) ours = real_open(link, O_RDONLY | O_CLOEXEC);
    if (ours < 0 || copy < 0) give_up(file->shadow);
    if (lose) {
        if (fstat(copy, &about)) give_up("fstat");
        copy_dirty(file, copy, ours);
        if (real_ftruncate(ours, about.st_size)) give_up("ftruncate");
    } else {
        if (file->cut >= 0 && !fstat(copy, &about) && about.st_size > file->cut && real_ftruncate(copy, file->cut))
            give_up("ftruncate");
        copy_dirty(file, ours, copy);
        if (fstat(ours, &about) || real_ftruncate(copy, about.st_size)) give_up("ftruncate");
        name_it(file);
        note_unsynced(file);
    }
    file->count = 0;
    file->cut = -1;
    close(ours); close(copy);
}
/* Whether a read of this descriptor is to fail. */
static int unreadable(int fd, off_t at) {
    pthread_once(&once, prepare);
    if (!fail_read || at < fail_read_from || !triggered()) return 0;
    begin();
    struct file *file = watched(fd);
    int found = file && !strcmp(file->name, "sled-v2/db");
    end();
    return found;
}
static int parent_is(const char *path, const char *directory) {
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    return strlen(directory) == length && !strncmp(path, directory, length);
}
static void directory_synced(const char *name) {
    char from[PATH_MAX], to[PATH_MAX];
    in_tree(name, to);
    make_parents(to, 1);
    size_t kept = 0;
    for (size_t at = 0; at < waiting; at++) {
        struct operation *now = &pending[at];
        if (!parent_is(now->from, name) && !(now->to[0] && parent_is(now->to, name))) {
            pending[kept++] = *now;
            continue;
        }
        in_tree(now->from, from);
        if (!now->to[0]) { real_unlink(from); continue; }
        in_tree(now->to, to);
        make_parents(to, 0);
        real_rename(from, to);
        for (int each = 0; each < FILES; each++)
            if (files[each].ino && !strcmp(files[each].shadow, from)) strcpy(files[each].shadow, to);
    }
    waiting = kept;
    for (int each = 0; each < FILES; each++)
        if (files[each].ino && files[each].unnamed && parent_is(files[each].name, name)) name_it(&files[each]);
}
static void later(const char *from, const char *to) {
    if (waiting == OPERATIONS) give_up("too many renames and removals wait for a sync");
    snprintf(pending[waiting].from, PATH_MAX, "%s", from);
    snprintf(pending[waiting++].to, PATH_MAX, "%s", to);
}

static int opened(int directory, const char *path, int flags, mode_t mode) {
    char full[PATH_MAX];
    struct stat before;
    begin();
    const char *name = absolute(directory, path, full) ? below(full) : NULL;
    int was_there = name && !stat(full, &before);
    int fd = real_openat(directory, path, flags, mode), error = errno;
    struct stat about;
    if (fd >= 0 && name && !fstat(fd, &about) && S_ISREG(about.st_mode)) {
        struct file *file = known(&about);
        if (!file) file = take_note(&about, name, !was_there);
        if ((flags & O_TRUNC) && was_there) cut_to(file, 0);
    }
    end();
    errno = error;
    return fd;
}
#define MODE(flags) mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }
int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opened(at, path, flags, mode); }

#define READING(fd, at, call) \
    if (unreadable(fd, at)) { errno = fail_read; return -1; } \
    return call;
ssize_t read(int fd, void *bytes, size_t length) { READING(fd, lseek(fd, 0, SEEK_CUR), real_read(fd, bytes, length)) }
ssize_t pread(int fd, void *bytes, size_t length, off_t at) { READING(fd, at, real_pread(fd, bytes, length, at)) }
ssize_t pread64(int fd, void *bytes, size_t length, off_t at) { READING(fd, at, real_pread(fd, bytes, length, at)) }
/* Like the kernel, it sends what comes before the first byte that cannot be read. */
ssize_t sendfile(int out, int fd, off_t *from, size_t length) {
    off_t at = from ? *from : lseek(fd, 0, SEEK_CUR);
    if (at < fail_read_from && at + (off_t)length > fail_read_from && unreadable(fd, fail_read_from)) length = fail_read_from - at;
    READING(fd, at, real_sendfile(out, fd, from, length))
}
ssize_t sendfile64(int out, int fd, off_t *from, size_t length) { return sendfile(out, fd, from, length); }

static off_t position(int fd) {
    struct stat about;
    if ((fcntl(fd, F_GETFL) & O_APPEND) && !fstat(fd, &about)) return about.st_size;
    return lseek(fd, 0, SEEK_CUR);
}
#define WRITING(fd, at, call) \
    begin(); \
    struct file *file = watched(fd); \
    if (!file) { end(); return call; } \
    off_t from = at; \
    ssize_t written = call; \
    int error = errno; \
    dirtied(file, from, written); \
    end(); \
    errno = error; \
    return written;
ssize_t write(int fd, const void *bytes, size_t length) { WRITING(fd, position(fd), real_write(fd, bytes, length)) }
ssize_t writev(int fd, const struct iovec *parts, int count) { WRITING(fd, position(fd), real_writev(fd, parts, count)) }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { WRITING(fd, at, real_pwrite(fd, bytes, length, at)) }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) { WRITING(fd, at, real_pwrite(fd, bytes, length, at)) }

int ftruncate(int fd, off_t length) {
    begin();
    struct file *file = watched(fd);
    int result = real_ftruncate(fd, length), error = errno;
    if (file && !result) cut_to(file, length);
    end();
    errno = error;
    return result;
}
int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

int rename(const char *from, const char *to) {
    char one[PATH_MAX], other[PATH_MAX];
    begin();
    const char *old = absolute(AT_FDCWD, from, one) ? below(one) : NULL;
    const char *new = absolute(AT_FDCWD, to, other) ? below(other) : NULL;
    struct stat replaced;
    struct file *gone = new && !stat(other, &replaced) ? known(&replaced) : NULL;
    int result = real_rename(from, to), error = errno;
    if (!result && old && new) {
        if (gone) gone->ino = 0;
        struct stat about;
        struct file *file = !stat(other, &about) ? known(&about) : NULL;
        if (file) strcpy(file->name, new);
        if (!file || !file->unnamed) later(old, new);
    }
    end();
    errno = error;
    return result;
}
static int removed(int directory, const char *path, int flags) {
    char full[PATH_MAX];
    struct stat about;
    begin();
    const char *name = absolute(directory, path, full) ? below(full) : NULL;
    struct file *file = name && !stat(full, &about) ? known(&about) : NULL;
    int result = real_unlinkat(directory, path, flags), error = errno;
    if (!result && name && !(flags & AT_REMOVEDIR)) {
        if (!file || !file->unnamed) later(name, "");
        if (file) file->ino = 0;
    }
    end();
    errno = error;
    return result;
}
int unlink(const char *path) { return removed(AT_FDCWD, path, 0); }
int unlinkat(int directory, const char *path, int flags) { return removed(directory, path, flags); }

static int synced(int fd, int data_only) {
    pthread_once(&once, prepare);
    while (failing && !strcmp(failing, "HANG") && triggered()) usleep(10000);
    struct stat about;
    if (sync_takes && store[0] && !fstat(fd, &about) && S_ISREG(about.st_mode)) usleep(sync_takes);
    begin();
    char path[PATH_MAX], link[64];
    struct file *file = watched(fd);
    const char *directory = NULL;
    if (!file && store[0] && !fstat(fd, &about) && S_ISDIR(about.st_mode)) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        if (length > 0) { path[length] = 0; directory = below(path); }
    }
    int result = 0, error = 0;
    if ((file || directory) && failing && strcmp(failing, "HANG") && triggered()) {
        if (file) resolve(file, fd, 1);
        result = -1;
        error = strcmp(failing, "ENOSPC") ? EIO : ENOSPC;
    } else if (!(data_only && ignore_fdatasync)) {
        result = data_only ? real_fdatasync(fd) : real_fsync(fd);
        error = errno;
        if (!result && file) resolve(file, fd, 0);
        if (!result && directory) directory_synced(directory);
    }
    end();
    errno = error;
    return result;
}
int fsync(int fd) { return synced(fd, 0); }
int fdatasync(int fd) { return synced(fd, 1); }

int clock_gettime(clockid_t id, struct timespec *now) {
    pthread_once(&once, prepare);
    int result = real_clock_gettime(id, now);
    if (!result && id == CLOCK_REALTIME && clock_shift && triggered()) now->tv_sec += atol(clock_shift);
    return result;
}
