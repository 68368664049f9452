/* How the ranks of a node divide its cores. */
#include <stdio.h>
#include <string.h>

#include "mpi/divide.h"
#include "support.h"

/* CPUs n and n + 4 share a core. */
static uint64_t two_threads_each(size_t cpu)
{
    return cpu % 4;
}

static uint64_t in_order(size_t cpu)
{
    (void)cpu;
    return 0;
}

static rp_mpi_mask mask_of(const char *text)
{
    rp_mpi_mask mask;
    CPU_ZERO_S(sizeof mask, mask.cpus);
    for (; *text != '\0'; text++)
        CPU_SET_S((size_t)(*text - '0'), sizeof mask, mask.cpus);
    return mask;
}

/* masks and shares: a digit for each CPU; "-": nothing is divided. */
static void check(size_t n, const char *const *masks, const char *const *shares, rp_mpi_core_of_cpu *core_of)
{
    rp_mpi_mask given[8], share;
    for (size_t i = 0; i < n; i++)
        given[i] = mask_of(masks[i]);
    for (size_t i = 0; i < n; i++) {
        bool divided = rp_mpi_divide(given, n, i, core_of, &share);
        assert_int_equal(divided, strcmp(shares[i], "-") != 0);
        if (!divided)
            continue;
        const rp_mpi_mask expected = mask_of(shares[i]);
        if (memcmp(&share, &expected, sizeof share) != 0)
            fail_msg("rank %zu of %zu has %d other CPUs than %s", i, n, CPU_COUNT_S(sizeof share, share.cpus),
                     shares[i]);
    }
}

#define CHECK(core_of, masks, shares)                                  \
    do {                                                               \
        static const char *const given[] = masks, *const s[] = shares; \
        check(COUNT_OF(given), given, s, core_of);                     \
    } while (0)
#define LIST(...)   \
    {               \
        __VA_ARGS__ \
    }

TEST(equal_masks_are_divided)
{
    CHECK(in_order, LIST("0123"), LIST("-"));
    CHECK(in_order, LIST("0123", "0123"), LIST("01", "23"));
    CHECK(in_order, LIST("0123", "0123", "0123"), LIST("0", "1", "23"));
    CHECK(in_order, LIST("01", "01", "01"), LIST("0", "1", "0"));
    CHECK(in_order, LIST("", ""), LIST("-", "-"));
}

TEST(bound_ranks_keep_their_cpus)
{
    CHECK(in_order, LIST("01", "23"), LIST("-", "-"));
    CHECK(in_order, LIST("01", "01", "23", "23"), LIST("0", "1", "2", "3"));
    CHECK(in_order, LIST("0123", "4567", "0123"), LIST("01", "-", "23"));
}

TEST(overlap_is_transitive)
{
    CHECK(in_order, LIST("45", "01", "12", "23"), LIST("-", "0", "1", "23"));
    CHECK(in_order, LIST("01", "23", "12"), LIST("0", "1", "23"));
}

TEST(threads_of_a_core_stay_together)
{
    CHECK(two_threads_each, LIST("01234567", "01234567"), LIST("0415", "2637"));
}

TEST(masks_may_be_long)
{
    static rp_mpi_mask masks[2];
    rp_mpi_mask share;
    memset(masks, 0xff, sizeof masks);
    assert_true(rp_mpi_divide(masks, 2, 1, in_order, &share));
    assert_int_equal(CPU_COUNT_S(sizeof share, share.cpus), RP_MPI_MAX_CPUS / 2);
    assert_true(CPU_ISSET_S(RP_MPI_MAX_CPUS - 1, sizeof share, share.cpus));
    assert_false(CPU_ISSET_S(0, sizeof share, share.cpus));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_masks_are_divided), cmocka_unit_test(bound_ranks_keep_their_cpus),
        cmocka_unit_test(overlap_is_transitive),   cmocka_unit_test(threads_of_a_core_stay_together),
        cmocka_unit_test(masks_may_be_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
