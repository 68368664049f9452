#include "core/builtin.h"

#define RP_BUILTIN_ENTRY(cpu, name) &rp_##cpu##_##name,
static const rowpool_function *const builtins[] = {RP_BUILTINS(RP_BUILTIN_ENTRY, builtin)};
enum { BUILTINS = sizeof builtins / sizeof *builtins };

/* BUILTINS: it is none of them. */
static size_t builtin_index(const rowpool_function *function)
{
    size_t i = 0;
    while (i < BUILTINS && builtins[i] != function)
        i++;
    return i;
}

bool rp_is_builtin(const rowpool_function *function)
{
    return builtin_index(function) < BUILTINS;
}

const rowpool_function *rp_builtin_at(size_t i)
{
    return i < BUILTINS ? builtins[i] : NULL;
}

/* ---- Kinds of CPU ------------------------------------------------------------------------------------------------ */

static bool is_any(void)
{
    return true;
}

#ifdef ROWPOOL_HAVE_AVX2
RP_BUILTINS(RP_BUILTIN_DECLARATION, avx2)
static const rowpool_function *const avx2[] = {RP_BUILTINS(RP_BUILTIN_ENTRY, avx2)};

static bool is_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt");
}
#endif

#ifdef ROWPOOL_HAVE_AVX512
RP_BUILTINS(RP_BUILTIN_DECLARATION, avx512)
static const rowpool_function *const avx512[] = {RP_BUILTINS(RP_BUILTIN_ENTRY, avx512)};

static bool is_avx512(void)
{
    return is_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

/* The widest vectors first. Chosen at run time, not by the loader: ifunc resolvers run before the thread sanitizer
 * does, and crash in it. */
static const rp_cpu cpus[] = {
#ifdef ROWPOOL_HAVE_AVX512
    {"avx512", is_avx512, avx512},
#endif
#ifdef ROWPOOL_HAVE_AVX2
    {"avx2", is_avx2, avx2},
#endif
    {"baseline", is_any, builtins},
};
enum { CPUS = sizeof cpus / sizeof *cpus };

const rp_cpu *rp_cpu_at(size_t i)
{
    for (size_t k = 0; k < CPUS; k++)
        if (cpus[k].is_this() && i-- == 0)
            return &cpus[k];
    return NULL;
}

const rowpool_compiled *rp_compiled_for(const rp_cpu *cpu, const rowpool_function *function, rowpool_dtype dtype)
{
    size_t i = builtin_index(function);
    return (i < BUILTINS ? cpu->functions[i] : function)->compiled[dtype];
}
