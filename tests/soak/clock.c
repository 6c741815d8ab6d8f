/* A wall clock that is wrong by what a file says, for the process that this library is preloaded into.
 *
 * SOAK_CLOCK_FILE holds eight bytes: the offset in seconds, a native int64. It is mapped, so that a change takes effect at
 * once, as a step of the real clock does. The monotonic clock stays. Who waits on a condition until a time of the wall
 * clock waits by the wrong clock, too, also when it jumps meanwhile: the wait is made in slices.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#define SLICE_NS 50000000L
/* A condition may have been told to wait by the monotonic clock: its times are those since the machine started. */
#define MONOTONIC_MOST 1000000000L

static const int64_t none = 0;
static const volatile int64_t *offset = &none;
static int (*real_clock)(clockid_t, struct timespec *);
static int (*real_wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*real_cnd_wait)(cnd_t *, mtx_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SOAK_CLOCK_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    real_wait = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (real_wait == NULL)
        real_wait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    real_cnd_wait = dlsym(RTLD_NEXT, "cnd_timedwait");
    if (file >= 0) {
        void *place = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
        if (place != MAP_FAILED)
            offset = place;
        close(file);
    }
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    if (real_clock == NULL)
        begin();
    int failed = real_clock(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *offset;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec found;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &found);
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now)
{
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now != NULL)
        *now = found.tv_sec;
    return found.tv_sec;
}

int timespec_get(struct timespec *now, int base)
{
    return base == TIME_UTC && clock_gettime(CLOCK_REALTIME, now) == 0 ? base : 0;
}

static int before(const struct timespec *one, const struct timespec *other)
{
    return one->tv_sec != other->tv_sec ? one->tv_sec < other->tv_sec : one->tv_nsec < other->tv_nsec;
}

/* The wall time until which to wait for one slice; 0 where the time is over by the wrong clock. */
static int next_slice(const struct timespec *until, struct timespec *slice)
{
    struct timespec real, wrong;
    real_clock(CLOCK_REALTIME, &real);
    wrong = real;
    wrong.tv_sec += *offset;
    if (!before(&wrong, until))
        return 0;
    *slice = real;
    slice->tv_nsec += SLICE_NS;
    if (slice->tv_nsec >= 1000000000L) {
        slice->tv_nsec -= 1000000000L;
        slice->tv_sec += 1;
    }
    wrong.tv_sec = until->tv_sec - *offset;
    wrong.tv_nsec = until->tv_nsec;
    if (before(&wrong, slice))
        *slice = wrong;
    return 1;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until)
{
    struct timespec slice;
    int answer = ETIMEDOUT;
    if (until->tv_sec < MONOTONIC_MOST)
        return real_wait(condition, mutex, until);
    while (answer == ETIMEDOUT && next_slice(until, &slice))
        answer = real_wait(condition, mutex, &slice);
    return answer;
}

/* The C11 name of the same, which Kafka's client calls; glibc does not go by way of the other. */
int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex, const struct timespec *restrict until)
{
    struct timespec slice;
    int answer = thrd_timedout;
    while (answer == thrd_timedout && next_slice(until, &slice))
        answer = real_cnd_wait(condition, mutex, &slice);
    return answer;
}
