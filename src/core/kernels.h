/* The files of kernels/, as text; the build makes the definitions (src/cmake/embed.cmake). */
#ifndef RP_CORE_KERNELS_H
#define RP_CORE_KERNELS_H

extern const char rp_kernel_prelude[];
extern const char rp_kernel_range_count[];
extern const char rp_kernel_fold[];

#endif
