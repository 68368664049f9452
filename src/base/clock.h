/* Monotonic time, for durations and deadlines. */
#ifndef RP_BASE_CLOCK_H
#define RP_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

struct timespec rp_clock_now(void);

static inline struct timespec rp_clock_after_ms(int64_t ms)
{
    struct timespec when = rp_clock_now();
    when.tv_sec += ms / 1000;
    when.tv_nsec += (ms % 1000) * 1000000;
    if (when.tv_nsec >= 1000000000) {
        when.tv_sec++;
        when.tv_nsec -= 1000000000;
    }
    return when;
}

static inline int64_t rp_clock_as_ns(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline int64_t rp_clock_ns(void)
{
    return rp_clock_as_ns(rp_clock_now());
}

static inline double rp_clock_seconds(struct timespec from, struct timespec to)
{
    return (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
}

#endif
