/* By itself, so that a test can link a clock of its own. */
#include "base/clock.h"

struct timespec rp_clock_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now;
}
