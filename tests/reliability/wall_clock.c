/* Preloaded into a process, shows it another wall clock: $WALL_CLOCK names a file that holds the
 * seconds it is off by and whether the kernel is to say that it is synchronised, "-86400 0".
 * The time since boot and the clock of this machine stay as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

static void look(long *seconds, int *synchronised)
{
    char text[64] = "";
    int file = open(getenv("WALL_CLOCK"), O_RDONLY | O_CLOEXEC);
    if (file >= 0) {
        if (read(file, text, sizeof text - 1) > 0)
            sscanf(text, "%ld %d", seconds, synchronised);
        close(file);
    }
}

int clock_gettime(clockid_t id, struct timespec *at)
{
    static int (*real)(clockid_t, struct timespec *);
    long seconds = 0;
    int synchronised;
    if (!real)
        real = dlsym(RTLD_NEXT, "clock_gettime");
    int answer = real(id, at);
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) {
        look(&seconds, &synchronised);
        at->tv_sec += seconds;
    }
    return answer;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone)
{
    struct timespec fine;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &fine);
    at->tv_sec = fine.tv_sec;
    at->tv_usec = fine.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at)
{
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    if (at)
        *at = fine.tv_sec;
    return fine.tv_sec;
}

int adjtimex(struct timex *state)
{
    long seconds;
    int synchronised = 0;
    look(&seconds, &synchronised);
    state->status = synchronised ? 0 : STA_UNSYNC;
    return synchronised ? TIME_OK : TIME_ERROR;
}
