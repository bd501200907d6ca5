/* Shifts the wall clock of a process, as if somebody had set the clock of its machine. Loaded by LD_PRELOAD.
 *
 * The file SHIFTED_CLOCK_FILE holds the shift in seconds; it is read again in each second. Monotonic clocks stay, as
 * they do when a clock is set. A wait until a moment of the wall clock ends when the shifted clock shows this moment. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SLICE_NANOS 200000000L
#define YEAR_2001 1000000000L /* no machine has been up for so many seconds: later moments are the wall clock's */

static int (*next_gettime)(clockid_t, struct timespec *);
static int (*next_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*next_cnd_timedwait)(cnd_t *, mtx_t *, const struct timespec *);
static const char *file;
static _Atomic time_t read_at = -1;
static _Atomic long shift;

__attribute__((constructor)) static void prepare(void) {
    file = getenv("SHIFTED_CLOCK_FILE");
    next_gettime = dlsym(RTLD_NEXT, "clock_gettime");
    next_timedwait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2"); /* x86-64 has an older one as well */
    if (!next_timedwait) next_timedwait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    next_cnd_timedwait = dlsym(RTLD_NEXT, "cnd_timedwait");
}

static int real(clockid_t clock, struct timespec *now) {
    return next_gettime ? next_gettime(clock, now) : (int)syscall(SYS_clock_gettime, clock, now);
}

static long shifted(void) {
    struct timespec now;
    real(CLOCK_MONOTONIC, &now);
    time_t before = read_at;
    if (file && now.tv_sec != before && atomic_compare_exchange_strong(&read_at, &before, now.tv_sec)) {
        int kept = errno, from = open(file, O_RDONLY | O_CLOEXEC);
        char text[32];
        ssize_t length = from < 0 ? 0 : read(from, text, sizeof text - 1);
        if (from >= 0) close(from);
        if (length > 0) {
            text[length] = 0;
            shift = strtol(text, NULL, 10);
        }
        errno = kept;
    }
    return shift;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = real(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += shifted();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec found;
    if (clock_gettime(CLOCK_REALTIME, &found)) return -1;
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec found;
    if (clock_gettime(CLOCK_REALTIME, &found)) return -1;
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}

/* The end of a wait by the kernel's clock: the moment, or the end of a slice if that comes first (returns 1). After a
 * slice a wait returns as if woken for no reason, which its caller must expect. */
static int sliced(const struct timespec *moment, struct timespec *until) {
    struct timespec now, slice;
    real(CLOCK_REALTIME, &now);
    long nanos = now.tv_nsec + SLICE_NANOS;
    slice = (struct timespec){now.tv_sec + nanos / 1000000000L, nanos % 1000000000L};
    *until = (struct timespec){moment->tv_sec - shifted(), moment->tv_nsec};
    if (until->tv_sec < slice.tv_sec || (until->tv_sec == slice.tv_sec && until->tv_nsec <= slice.tv_nsec)) return 0;
    *until = slice;
    return 1;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *moment) {
    struct timespec until;
    if (moment->tv_sec < YEAR_2001) return next_timedwait(condition, mutex, moment);
    int early = sliced(moment, &until), woken = next_timedwait(condition, mutex, &until);
    return early && woken == ETIMEDOUT ? 0 : woken;
}

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *moment) {
    struct timespec until;
    int early = sliced(moment, &until), woken = next_cnd_timedwait(condition, mutex, &until);
    return early && woken == thrd_timedout ? thrd_success : woken;
}
