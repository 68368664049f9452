/* What stands around a row function's text on an OpenCL device; the build makes the definitions
 * (src/cmake/embed.cmake).
 */
#ifndef RP_CORE_KERNELS_H
#define RP_CORE_KERNELS_H

extern const char rp_kernel_prelude[];
extern const char rp_kernel_vocabulary[];
extern const char rp_kernel_check[];
extern const char rp_kernel_fold[];
extern const char rp_kernel_body[];

#endif
