/* The row functions of the library's own. They are made as a user's are; only their names are known here. */
#ifndef RP_CORE_BUILTIN_H
#define RP_CORE_BUILTIN_H

#include "rowpool.h"

#define RP_BUILTINS(X) X(count) X(count64) X(any) X(all) X(fraction) X(sum) X(mean) X(min) X(max) X(argmin) X(argmax)

#define RP_BUILTIN_DECLARATION(name) extern const rowpool_function rp_builtin_##name;
RP_BUILTINS(RP_BUILTIN_DECLARATION)
#undef RP_BUILTIN_DECLARATION

/* Whether a function is one of them. */
bool rp_is_builtin(const rowpool_function *function);

#endif
