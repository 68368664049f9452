/* The library's own row functions: kernels/<name>.cl, compiled and embedded as a user's are, and compiled once more for
 * CPUs with wider vectors (src/cmake/builtin-variants.cmake). A new one takes
 *
 *   code     the file, and its name in RP_BUILTINS, which the build reads too; its place there is its place in messages
 *   words    rowpool_builtin in include/rowpool/row_function.h; the help in src/cli/map_commands.c, from which shells
 *            complete it; src/man/rowpool.1; README.md. The test man names what was forgotten
 *   tests    the tables in tests/test_builtins.c, test_program.c and numpy_agrees.py
 */
#ifndef RP_CORE_BUILTIN_H
#define RP_CORE_BUILTIN_H

#include "rowpool.h"

/* X(cpu, name): the constant is rp_<cpu>_<name>, where cpu is builtin for any CPU. */
#define RP_BUILTINS(X, cpu) \
    X(cpu, count)           \
    X(cpu, count64)         \
    X(cpu, any)             \
    X(cpu, all)             \
    X(cpu, fraction)        \
    X(cpu, sum)             \
    X(cpu, mean)            \
    X(cpu, min)             \
    X(cpu, max)             \
    X(cpu, argmin)          \
    X(cpu, argmax)

#define RP_BUILTIN_DECLARATION(cpu, name) extern const rowpool_function rp_##cpu##_##name;
RP_BUILTINS(RP_BUILTIN_DECLARATION, builtin)

/* The i-th; NULL: there are no more. */
const rowpool_function *rp_builtin_at(size_t i);

bool rp_is_builtin(const rowpool_function *function);

/* A kind of CPU, and the built-in functions compiled for it. */
typedef struct {
    const char *name;
    bool (*is_this)(void);                    /* whether this CPU is of the kind */
    const rowpool_function *const *functions; /* in the order of RP_BUILTINS */
} rp_cpu;

/* The kinds of this CPU, the widest vectors first; NULL: no more. */
const rp_cpu *rp_cpu_at(size_t i);

/* The C form of a function, built-in or not, for a dtype; NULL: it has none. */
const rowpool_compiled *rp_compiled_for(const rp_cpu *cpu, const rowpool_function *function, rowpool_dtype dtype);

#endif
