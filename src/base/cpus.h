/* How many CPUs this process may use. */
#ifndef RP_BASE_CPUS_H
#define RP_BASE_CPUS_H

#include <stddef.h>

/* CPUs in the affinity mask, or those that the quota of a control group allows if that is fewer; at least 1. */
size_t rp_count_cpus(void);

#endif
