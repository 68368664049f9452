/* What OpenCL C 1.2 lacks of what C has. Build options:
 *   ROWPOOL_DTYPE        the dtype of the rows, int8 ... float64
 *   RP_WIDTH             elements of a row, to build rp_row_blocks for dense rows of just so many; 0: for none
 *   RP_ARGUMENTS_SIZE, RP_RESULT_SIZE, RP_MOST_ACCUMULATOR_SIZE   bytes of the structs, as the host counts with them
 */
#ifndef ROWPOOL_DTYPE
#define ROWPOOL_DTYPE int32
#endif
#ifndef RP_WIDTH
#define RP_WIDTH 0
#endif

/* As on the host, where the answers have to be the same. */
#pragma OPENCL FP_CONTRACT OFF
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif

typedef char int8_t;
typedef short int16_t;
typedef int int32_t;
typedef long int64_t;
typedef uchar uint8_t;
typedef ushort uint16_t;
typedef uint uint32_t;
typedef ulong uint64_t;

#define ROW_NAME(x) row_##x
