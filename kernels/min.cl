/* The smallest number of a row; NaNs are skipped. */
#define EXTREME_IS_BETTER(x, y) ((x) < (y))
#define EXTREME_NONE ROW_MOST

#include "extreme.cl"
