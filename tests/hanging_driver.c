/* An OpenCL driver that never returns from its first call. It opens the pipe that ROWPOOL_TEST_HANGS names, writes to
 * it, and keeps it open. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void *clGetExtensionFunctionAddress(const char *name);

void *clGetExtensionFunctionAddress(const char *name)
{
    const char *path = getenv("ROWPOOL_TEST_HANGS");
    int pipe = path != NULL ? open(path, O_WRONLY) : -1;
    if (pipe < 0 || write(pipe, name, 1) != 1)
        abort();
    for (;;)
        pause();
}
