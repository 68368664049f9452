/* By itself, so that no compiler sees the size. */
#include "base/zero.h"

#include <string.h>

void rp_zero(void *place, size_t size)
{
    memset(place, 0, size);
}
