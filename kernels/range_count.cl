/* The range count: how many elements of a row lie in the closed interval [lo, hi].
 *
 * A row function, read by C and by OpenCL C alike; it is included once for each element and result type:
 *   RP_ELEMENT   the integer type that orders the elements (floats come as ordered keys)
 *   RP_RESULT    the type of a count
 *   RP_NAME(x)   a name for x that is this instance's own
 */
typedef struct {
    RP_ELEMENT lo, hi;
} RP_NAME(arguments);

static inline RP_RESULT RP_NAME(identity)(void)
{
    return 0;
}

/* What one element counts for, and the sum of such for up to 255 of them: narrow, so that many fit side by side. */
static inline uint8_t RP_NAME(single)(RP_ELEMENT x, RP_NAME(arguments) range)
{
    return (uint8_t)((range.lo <= x) & (x <= range.hi));
}

static inline uint8_t RP_NAME(combine_narrow)(uint8_t a, uint8_t b)
{
    return (uint8_t)(a + b);
}

static inline RP_RESULT RP_NAME(element)(RP_RESULT count, RP_ELEMENT x, RP_NAME(arguments) range)
{
    return count + RP_NAME(single)(x, range);
}

static inline RP_RESULT RP_NAME(combine)(RP_RESULT a, RP_RESULT b)
{
    return a + b;
}
