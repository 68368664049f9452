/* Opens a pool on the devices that the argument names, as ROWPOOL_DEVICE does, and tells what it uses and why. */
#include <rowpool.h>
#include <stdio.h>

enum { MOST = 32 };

int main(int argc, char **argv)
{
    const rowpool_options options = {.size = sizeof options, .device = argc > 1 ? argv[1] : NULL};
    rowpool_device devices[MOST];
    size_t count = 0;
    rowpool *pool;
    rowpool_error error;

    if (rowpool_open(&pool, &options, &error) != ROWPOOL_OK ||
        rowpool_devices(pool, devices, MOST, &count, &error) != ROWPOOL_OK) {
        fprintf(stderr, "%s: %s\n", rowpool_status_name(error.status), error.message);
        rowpool_close(pool);
        return 1;
    }
    for (size_t i = 0; i < count && i < MOST; i++)
        printf("%c %s: %s\n", devices[i].in_use ? '*' : ' ', devices[i].index, devices[i].reason);
    rowpool_close(pool);
    return 0;
}
