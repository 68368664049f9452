/* Names of C that OpenCL C 1.2 does not have. Build options:
 *   ROWPOOL_DTYPE        the dtype of the rows, int8 ... float64
 *   RP_WIDTH             width of the dense rows that rp_row_blocks is built for; 0: it is not built
 *   RP_MOST_VECTOR       bytes of the widest vectors to use, on a CPU that has them
 *   RP_ARGUMENTS_SIZE, RP_RESULT_SIZE, RP_MOST_ACCUMULATOR_SIZE   bytes of the structs on the host
 */
#ifndef ROWPOOL_DTYPE
#define ROWPOOL_DTYPE int32
#endif
#ifndef RP_WIDTH
#define RP_WIDTH 0
#endif
#ifndef RP_MOST_VECTOR
#define RP_MOST_VECTOR 64
#endif

/* As on the host: results must be the same there. */
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

/* Vectors of them, of 16 and 32 bytes. */
typedef char16 int8_t16;
typedef short8 int16_t8;
typedef short16 int16_t16;
typedef int4 int32_t4;
typedef int8 int32_t8;
typedef long2 int64_t2;
typedef long4 int64_t4;
typedef uchar16 uint8_t16;
typedef ushort8 uint16_t8;
typedef ushort16 uint16_t16;
typedef uint4 uint32_t4;
typedef uint8 uint32_t8;
typedef ulong2 uint64_t2;
typedef ulong4 uint64_t4;

#define ROW_NAME(x) row_##x
