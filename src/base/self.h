/* This process. */
#ifndef RP_BASE_SELF_H
#define RP_BASE_SELF_H

#include <sys/types.h>

/* Lets rp_self cache the pid. Thread safe. */
void rp_self_watch(void);

/* getpid without a system call, which would take longer than a small map. Right in a child of fork, _Fork and clone,
 * too. */
pid_t rp_self(void);

#endif
