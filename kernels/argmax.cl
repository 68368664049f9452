/* The index of the largest number of a row, of the first of equal ones; NaNs are passed over. */
#define EXTREME_IS_BETTER(x, y) ((x) > (y))

#include "extreme_index.cl"
