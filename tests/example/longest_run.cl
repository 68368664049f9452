/* A free body: the longest run of consecutive elements that lie in a range. */
#define ROW_RANGES

typedef struct {
    ordered_t lo, hi;
} arguments_t;
typedef uint32_t result_t;

ROW_BODY
{
    uint32_t run = 0, longest = 0;
    for (size_t i = 0; i < width; i++) {
        ordered_t x = ROW_ORDERED_AT(i);
        run = args.lo <= x && x <= args.hi ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}
