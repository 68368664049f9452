/* Vocabulary of every kernel. OpenCL C 1.2 with no extension. Build options, each with a default:
 *   RP_ELEMENT      storage type of an element, an integer as wide as it is
 *   RP_FLOAT_KEYS   1 when elements are the bits of floats: they become ordered integers, so that no device needs half
 *                   or double and none flushes a subnormal
 *   RP_RESULT       type of a result
 *   RP_WIDTH        elements of a row, to build rp_row_blocks for dense rows of just so many; 0: for none
 */
#ifndef RP_ELEMENT
#define RP_ELEMENT int
#endif
#ifndef RP_FLOAT_KEYS
#define RP_FLOAT_KEYS 0
#endif
#ifndef RP_RESULT
#define RP_RESULT uint
#endif
#ifndef RP_WIDTH
#define RP_WIDTH 0
#endif

typedef uchar uint8_t;

#define RP_NAME(x) rp_##x

#if RP_FLOAT_KEYS
/* The bits of negative numbers, all but the sign, count the wrong way round. */
#define RP_SIGN_SHIFT (8 * sizeof(RP_ELEMENT) - 1)
#define RP_ALL_BUT_SIGN ((RP_ELEMENT)(((ulong)1 << RP_SIGN_SHIFT) - 1))
#define RP_KEY(bits) ((RP_ELEMENT)((bits) ^ (((bits) >> RP_SIGN_SHIFT) & RP_ALL_BUT_SIGN)))
#else
#define RP_KEY(bits) (bits)
#endif
