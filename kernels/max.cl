/* The largest number of a row; NaNs are skipped. */
#define EXTREME_IS_BETTER(x, y) ((x) > (y))
#define EXTREME_NONE ROW_LEAST

#include "extreme.cl"
