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
    fresh[0] = rp_descriptor_keep(fresh[0]);
    int failure = errno;
    fresh[1] = rp_descriptor_keep(fresh[1]);
    if (fresh[0] >= 0 && fresh[1] >= 0)
        return true;
    failure = fresh[0] < 0 ? failure : errno;
    for (int i = 0; i < 2; i++)
        if (fresh[i] >= 0)
            close(fresh[i]);
    errno = failure;
    return false;
}
