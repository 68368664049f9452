/* The texts around a row function's own on an OpenCL device, in this order: prelude, vocabulary, the function, check,
 * fold or body. Embedded by src/cmake/embed.cmake. */
#ifndef RP_CORE_KERNELS_H
#define RP_CORE_KERNELS_H

extern const char rp_kernel_prelude[];
extern const char rp_kernel_vocabulary[];
extern const char rp_kernel_check[];
extern const char rp_kernel_fold[];
extern const char rp_kernel_body[];

#endif
