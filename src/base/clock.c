/* In a file of its own, so that a test can link another clock. */
#include "base/clock.h"

struct timespec rp_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now;
}
