/*
 * Makes one thread of a process fail, once: the thread whose number stands in the file that THREAD_FAILURE names, which is
 * then removed. After "epoll" its next epoll_wait is refused, after "clock" its next clock_gettime; Rust's runtimes panic
 * on either.
 *
 * epoll_wait returns after 20 ms at the latest, so that a thread that waits for ever fails as well.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

static int fails(const char *what)
{
    const char *path = getenv("THREAD_FAILURE");
    if (path == NULL)
        return 0;
    int before = errno;
    char text[32] = "", kind[8] = "";
    int thread = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0)
            sscanf(text, "%7s %d", kind, &thread);
        close(file);
    }
    errno = before;
    int hit = thread == gettid() && strcmp(kind, what) == 0;
    if (hit)
        unlink(path);
    return hit;
}

int epoll_wait(int poll, struct epoll_event *events, int most, int timeout)
{
    static int (*real)(int, struct epoll_event *, int, int);
    if (real == NULL)
        real = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
    if (fails("epoll")) {
        errno = EBADF;
        return -1;
    }
    return real(poll, events, most, timeout < 0 || timeout > 20 ? 20 : timeout);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    static int (*real)(clockid_t, struct timespec *);
    if (real == NULL)
        real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    if (fails("clock")) {
        errno = EINVAL;
        return -1;
    }
    return real(clock, now);
}
