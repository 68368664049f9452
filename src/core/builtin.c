#include "core/builtin.h"

#include <string.h>

static const rowpool_function *const builtins[] = {
#define RP_BUILTIN_ENTRY(name) &rp_builtin_##name,
    RP_BUILTINS(RP_BUILTIN_ENTRY)
#undef RP_BUILTIN_ENTRY
};
enum { BUILTINS = sizeof builtins / sizeof *builtins };

bool rp_is_builtin(const rowpool_function *function)
{
    for (size_t i = 0; i < BUILTINS; i++)
        if (builtins[i] == function)
            return true;
    return false;
}

const rowpool_function *rowpool_builtin(const char *name)
{
    for (size_t i = 0; name != NULL && i < BUILTINS; i++)
        if (strcmp(builtins[i]->name, name) == 0)
            return builtins[i];
    return NULL;
}

const char *rowpool_builtin_name(size_t i)
{
    return i < BUILTINS ? builtins[i]->name : NULL;
}
