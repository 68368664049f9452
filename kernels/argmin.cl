/* The index of the smallest number of a row, the first of equal ones; NaNs are skipped. */
#define EXTREME_IS_BETTER(x, y) ((x) < (y))

#include "extreme_index.cl"
