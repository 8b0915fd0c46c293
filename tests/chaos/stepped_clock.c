/* Preloaded into the stack's processes: the time of day is off by what a file says (nanoseconds, 64 bits), so that it
 * can be stepped while they run. Only the time of day: what waits goes by the monotonic clock, as on a real machine. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t none, *offset = &none;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("STEPPED_CLOCK_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *mapped = mmap(NULL, sizeof(int64_t), PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) offset = mapped;
    close(file);
}

static int real(clockid_t clock, struct timespec *into) {
    static int (*found)(clockid_t, struct timespec *);
    if (!found) found = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    return found(clock, into);
}

static int64_t now(clockid_t clock) {
    struct timespec read;
    real(clock, &read);
    return read.tv_sec * INT64_C(1000000000) + read.tv_nsec + *offset;
}

int clock_gettime(clockid_t clock, struct timespec *into) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return real(clock, into);
    int64_t time = now(clock);
    into->tv_sec = time / 1000000000;
    into->tv_nsec = time % 1000000000;
    return 0;
}

int gettimeofday(struct timeval *into, void *zone) {
    (void)zone;
    int64_t time = now(CLOCK_REALTIME);
    into->tv_sec = time / 1000000000;
    into->tv_usec = time % 1000000000 / 1000;
    return 0;
}

time_t time(time_t *into) {
    time_t seconds = now(CLOCK_REALTIME) / 1000000000;
    if (into) *into = seconds;
    return seconds;
}
