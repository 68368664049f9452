/* Sizes that never wrap. Each function is true when the result fits and stores it only then. */
#ifndef RP_BASE_CHECKED_H
#define RP_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>

static inline bool rp_mul(size_t a, size_t b, size_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}

static inline bool rp_add(size_t a, size_t b, size_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

static inline size_t rp_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t rp_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* a / b, rounded up; b > 0. */
static inline size_t rp_ceil_div(size_t a, size_t b)
{
    return a / b + (a % b != 0);
}

#endif
