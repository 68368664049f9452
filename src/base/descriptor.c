#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int rp_descriptor_keep(int fresh)
{
    if (fresh < 0 || fresh > STDERR_FILENO)
        return fresh;
    int kept = fcntl(fresh, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int failure = errno;
    close(fresh);
    errno = failure;
    return kept;
}

bool rp_descriptors_keep(int fresh[2])
{
    for (int i = 0; i < 2; i++) {
        fresh[i] = rp_descriptor_keep(fresh[i]);
        if (fresh[i] < 0) {
            int failure = errno;
            close(fresh[1 - i]);
            errno = failure;
            return false;
        }
    }
    return true;
}

void rp_descriptor_close(int descriptor)
{
    if (descriptor >= 0)
        close(descriptor);
}
