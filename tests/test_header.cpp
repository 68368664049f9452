// The public headers in C++17: they compile, link as C, and their structs are used as a C++ program would.
#include "rowpool.h"
#include "rowpool/arrow.h"

#include "entries.h"
#include "longest_run.h"
#ifdef TEST_MPI
#include "rowpool_mpi.h"
#endif

#include <cstdint>
#include <cstdio>
#include <type_traits>
#include <vector>

static_assert(std::is_trivial<rowpool_rows>::value && std::is_standard_layout<rowpool_rows>::value, "a C struct");
static_assert(std::is_trivial<rowpool_options>::value && std::is_standard_layout<rowpool_options>::value, "a C struct");
static_assert(sizeof(ArrowSchema) == 72 && sizeof(ArrowArray) == 80, "as the interface has them");

// A row function in a file of its own, by the header that rowpool_add_functions makes.
static bool gives(rowpool *pool, const rowpool_function &function, const rowpool_rows &rows, std::uint32_t first,
                  std::uint32_t second)
{
    std::uint32_t results[2] = {0, 0};
    rowpool_error error{};
    rowpool_call call{};
    call.size = sizeof call;
    call.function = &function;
    call.inputs = &rows;
    call.results = results;
    call.results_size = sizeof results;
    call.allow_host = true;
    if (rowpool_map(pool, &call, &error) == ROWPOOL_OK && results[0] == first && results[1] == second)
        return true;
    std::fprintf(stderr, "%s: %u %u: %s\n", function.name, results[0], results[1], error.message);
    return false;
}

int main()
{
    rowpool_options options{};
    options.size = sizeof options;
    options.device = "host";
    rowpool_error error{};
    rowpool *pool = nullptr;
    if (rowpool_open(&pool, &options, &error) != ROWPOOL_OK) {
        std::fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    const std::vector<std::int32_t> data{0, 4, 8, 9, 5, 6, 1, 2, 3, 3};
    rowpool_rows rows{};
    rows.data = data.data();
    rows.dtype = ROWPOOL_INT32;
    rows.count = 2;
    rows.width = 5;
    std::vector<std::uint32_t> counts(rows.count);
    const rowpool_range range = rowpool_range_i64(4, 8);
    int calls = 0;
    const auto done = [](rowpool_job *, rowpool_status, const rowpool_error *, void *payload) {
        ++*static_cast<int *>(payload);
    };
    rowpool_status status = rowpool_range_count_async(pool, &rows, &range, 1, counts.data(), done, &calls, nullptr,
                                                      &error);
    if (!gives(pool, header_entries, rows, 2, 1) || !gives(pool, header_longest_run, rows, 2, 1))
        return 1;
    rowpool_close(pool);
    if (status != ROWPOOL_OK || calls != 1 || counts[0] != 3 || counts[1] != 1) {
        std::fprintf(stderr, "wrong: %u %u, %d calls\n", counts[0], counts[1], calls);
        return 1;
    }
    const ArrowSchema schema{}; // released
    const ArrowArray array{};
    rowpool_arrow *arrow;
    if (rowpool_arrow_open(&arrow, &schema, &array, &error) != ROWPOOL_EINVAL) {
        std::fprintf(stderr, "a released array was taken\n");
        return 1;
    }
#ifdef TEST_MPI
    if (rowpool_mpi_agree(nullptr, ROWPOOL_OK, &error) != ROWPOOL_EINVAL) {
        std::fprintf(stderr, "a cluster that is none was taken\n");
        return 1;
    }
#endif
    return 0;
}
