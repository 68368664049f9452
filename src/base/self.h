/* This process. */
#ifndef RP_BASE_SELF_H
#define RP_BASE_SELF_H

#include <sys/types.h>

/* From here on rp_self does not ask the system. Thread safe. */
void rp_self_watch(void);

/* getpid, for what is asked in every call: the system's answer would take longer than a small map. Right in a child of
 * fork, _Fork and clone too. */
pid_t rp_self(void);

#endif
