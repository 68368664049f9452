/* The floating-point environment: row functions run in the default one, whatever the caller's is. */
#ifndef RP_BASE_FLOATING_H
#define RP_BASE_FLOATING_H

#include <stdint.h>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <fenv.h>
#endif

/* A thread's environment: how it rounds, whether subnormals count as zeros, what traps, and the exception flags. */
typedef struct {
#if defined(__x86_64__)
    uint32_t sse;                 /* MXCSR */
    uint16_t control, exceptions; /* x87 */
#elif defined(__aarch64__)
    uint64_t control, status; /* FPCR, FPSR */
#else
    fenv_t all;
#endif
} rp_floating;

/* Stores the thread's environment, and sets the default one: to nearest, with subnormals, without traps. Threads and
 * processes inherit the environment of the thread that starts them. Costs little where it is the default already. */
void rp_floating_default(rp_floating *before);

/* Restores a stored environment, its exception flags included. Exception: on x86-64 with the default x87 control word
 * the flags of the x87 are not restored. */
void rp_floating_restore(const rp_floating *before);

#endif
