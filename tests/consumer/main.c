/* A program that uses an installed rowpool: one call and its results. */
#include <rowpool.h>

#include <stdio.h>

int main(void)
{
    static const int data[2][5] = {{0, 4, 8, 9, 5}, {6, 1, 2, 3, 3}};
    rowpool_options options = {.size = sizeof options, .device = "host"};
    rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = 2, .width = 5};
    unsigned counts[2] = {0, 0};
    rowpool_error error;
    rowpool *pool;
    if (rowpool_open(&pool, &options, &error) != ROWPOOL_OK ||
        rowpool_range_count(pool, &rows, NULL, 0, counts, &error) != ROWPOOL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    rowpool_close(pool);
    printf("rowpool %s: %u %u\n", rowpool_version(), counts[0], counts[1]);
    return counts[0] == 3 && counts[1] == 1 ? 0 : 1;
}
