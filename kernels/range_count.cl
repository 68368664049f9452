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

static inline RP_RESULT RP_NAME(element)(RP_RESULT count, RP_ELEMENT x, RP_NAME(arguments) range)
{
    return count + (RP_RESULT)((range.lo <= x) & (x <= range.hi));
}

static inline RP_RESULT RP_NAME(combine)(RP_RESULT a, RP_RESULT b)
{
    return a + b;
}
