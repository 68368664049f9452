/* The row functions of the library's own. They are made as a user's are; only their names are known here, and that each
 * is compiled for several kinds of CPU. */
#ifndef RP_CORE_BUILTIN_H
#define RP_CORE_BUILTIN_H

#include "rowpool.h"

#define RP_BUILTINS(X) X(count) X(count64) X(any) X(all) X(fraction) X(sum) X(mean) X(min) X(max) X(argmin) X(argmax)

#define RP_BUILTIN_DECLARATION(name) extern const rowpool_function rp_builtin_##name;
RP_BUILTINS(RP_BUILTIN_DECLARATION)
#undef RP_BUILTIN_DECLARATION

/* The i-th of them; NULL: there are no more. */
const rowpool_function *rp_builtin_at(size_t i);

/* Whether a function is one of them. */
bool rp_is_builtin(const rowpool_function *function);

/* A kind of CPU, and the built-in functions compiled for it. */
typedef struct {
    const char *name;
    bool (*is_this)(void);                    /* whether this CPU is of the kind */
    const rowpool_function *const *functions; /* in the order of RP_BUILTINS */
} rp_cpu;

/* The kinds of which this CPU is, the one with the most first; NULL: no more. */
const rp_cpu *rp_cpu_at(size_t i);

/* What a function, built-in or not, is compiled into for a dtype; NULL: nothing. */
const rowpool_compiled *rp_compiled_for(const rp_cpu *cpu, const rowpool_function *function, rowpool_dtype dtype);

#endif
