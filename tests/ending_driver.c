/* An OpenCL driver, as far as a loader can tell, that ends the process which loads it. */
#include <stdlib.h>

__attribute__((constructor)) static void end(void)
{
    abort();
}
