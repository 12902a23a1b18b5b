/* A clock that is set: what programs ask their C library for the time of day is answered so many seconds from the machine's.
 * Loaded into dynamically linked programs of every cell of a run that varies the clock, at every level of it, also where
 * nothing is added: the library itself is then no difference. It brings no library of its own along: what it needs, every
 * C library for Linux has. Clocks that count from boot, and the times of files, are the kernel's and stay as they are. */

struct timespec { long tv_sec; long tv_nsec; };
struct timeval { long tv_sec; long tv_usec; };
struct itimerspec { struct timespec it_interval; struct timespec it_value; };

extern long syscall(long number, ...);
extern int *__errno_location(void);

#if defined(__x86_64__)
enum { CLOCK_GETTIME = 228, CLOCK_NANOSLEEP = 230, TIMERFD_SETTIME = 286 };
#elif defined(__aarch64__)
enum { CLOCK_GETTIME = 113, CLOCK_NANOSLEEP = 115, TIMERFD_SETTIME = 86 };
#else
#error "not known for this processor"
#endif

/* CLOCK_REALTIME, CLOCK_MONOTONIC, and how a deadline is told from a span. */
enum { REALTIME = 0, MONOTONIC = 1, ABSOLUTE = 1 };

/* The engine writes the seconds behind the mark when it lays the file. */
static const volatile struct { char mark[24]; long seconds; } set = { "clock is set by seconds:", 0 };

/* Of the clocks that tell the date: CLOCK_REALTIME, _COARSE, _ALARM, CLOCK_TAI. */
static int tells_the_date(int clock)
{
    return clock == REALTIME || clock == 5 || clock == 8 || clock == 11;
}

int clock_gettime(int clock, struct timespec *now)
{
    long result = syscall(CLOCK_GETTIME, (long)clock, now);

    if (result == 0 && tells_the_date(clock))
        now->tv_sec += set.seconds;
    return (int)result;
}

int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec exact;
    int *west = zone;

    if (zone)
        west[0] = west[1] = 0;
    if (!now)
        return 0;
    if (clock_gettime(REALTIME, &exact))
        return -1;
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

long time(long *place)
{
    struct timespec now;

    if (clock_gettime(REALTIME, &now))
        return -1;
    if (place)
        *place = now.tv_sec;
    return now.tv_sec;
}

/* TIME_UTC is 1, and the bases behind it are the clocks behind CLOCK_REALTIME. */
int timespec_get(struct timespec *now, int base)
{
    return base >= 1 && base <= 4 && clock_gettime(base - 1, now) == 0 ? base : 0;
}

/* Deadlines come back in the set clock's time, and the kernel waits by the machine's. */
static struct timespec machines(const struct timespec *deadline)
{
    struct timespec real = *deadline;

    real.tv_sec -= set.seconds;
    return real;
}

int clock_nanosleep(int clock, int flags, const struct timespec *span, struct timespec *left)
{
    struct timespec real;
    int *error = __errno_location(), before = *error;

    if (flags & ABSOLUTE && tells_the_date(clock) && span) {
        real = machines(span);
        span = &real;
    }
    if (syscall(CLOCK_NANOSLEEP, (long)clock, (long)flags, span, left) == 0)
        return 0;
    flags = *error;
    *error = before;
    return flags;
}

/* Which clock a condition or a semaphore waits by is told when it is made, and here only seen from the deadline: no machine
 * has been up for as long as it is since 1973. */
static int is_date(const struct timespec *deadline)
{
    return deadline && deadline->tv_sec > 100000000;
}

/* Since version 2.30 (2019) the C library has each of these with the clock beside the deadline. An older one has no way to
 * them from here: the call fails and says so. */
#define WAIT(name, with_clock, place)                                                                       \
    extern int with_clock(place, int, const struct timespec *) __attribute__((weak));                        \
    int name(place thing, const struct timespec *deadline)                                                  \
    {                                                                                                       \
        struct timespec real;                                                                               \
        if (!with_clock)                                                                                    \
            return 38; /* ENOSYS */                                                                         \
        if (!is_date(deadline))                                                                             \
            return with_clock(thing, REALTIME, deadline);                                                   \
        real = machines(deadline);                                                                          \
        return with_clock(thing, REALTIME, &real);                                                          \
    }

WAIT(sem_timedwait, sem_clockwait, void *)
WAIT(pthread_mutex_timedlock, pthread_mutex_clocklock, void *)
WAIT(pthread_rwlock_timedrdlock, pthread_rwlock_clockrdlock, void *)
WAIT(pthread_rwlock_timedwrlock, pthread_rwlock_clockwrlock, void *)

extern int pthread_cond_clockwait(void *, void *, int, const struct timespec *) __attribute__((weak));

int pthread_cond_timedwait(void *condition, void *mutex, const struct timespec *deadline)
{
    struct timespec real;

    if (!pthread_cond_clockwait)
        return 38; /* ENOSYS */
    if (!is_date(deadline))
        return pthread_cond_clockwait(condition, mutex, MONOTONIC, deadline);
    real = machines(deadline);
    return pthread_cond_clockwait(condition, mutex, REALTIME, &real);
}

/* A timer does not say which clock it was made for either. */
int timerfd_settime(int timer, int flags, const struct itimerspec *wanted, struct itimerspec *before)
{
    struct itimerspec real;

    if (flags & ABSOLUTE && wanted && is_date(&wanted->it_value)) {
        real = *wanted;
        real.it_value = machines(&wanted->it_value);
        wanted = &real;
    }
    return (int)syscall(TIMERFD_SETTIME, (long)timer, (long)flags, wanted, before);
}
