/* Two row functions of one's own, on every device of the machine. */
#include <rowpool.h>
#include <stdio.h>

#include "entries.h" /* made by rowpool_add_functions, as is the next */
#include "longest_run.h"

static int map(rowpool *pool, const rowpool_function *function, const rowpool_rows *rows)
{
    const rowpool_range range = rowpool_range_i64(4, 8);
    uint32_t results[3];
    rowpool_error error;
    rowpool_call call = {.size = sizeof call,
                         .function = function,
                         .inputs = rows,
                         .ranges = &range,
                         .n_ranges = 1,
                         .results = results,
                         .results_size = sizeof results,
                         .allow_host = true}; /* where no device can, the calling thread may */
    if (rowpool_map(pool, &call, &error) != ROWPOOL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    printf("%s: %u %u %u\n", function->name, results[0], results[1], results[2]);
    return 0;
}

int main(void)
{
    const float data[3][6] = {{4, 5, 9, 4, 5, 6}, {1, 2, 3, 2, 1, 0}, {8, 0, 8, 0, 8, 0}};
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_FLOAT32, .count = 3, .width = 6};
    rowpool *pool;
    rowpool_error error;

    if (rowpool_open(&pool, NULL, &error) != ROWPOOL_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    int failed = map(pool, &longest_run, &rows) + map(pool, &entries, &rows); /* 3 0 1, then 2 0 3 */
    rowpool_close(pool);
    return failed;
}
