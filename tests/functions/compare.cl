/* A free body of four inputs: how many elements of the first lie between those of the second and the third, shifted by
 * the row's index and the argument; the fourth says with how many bytes to go on counting. */
#define ROW_INPUTS 4
#define ROW3_DTYPE uint8

typedef struct {
    uint8_t step;
    int64_t offset;
} arguments_t;
typedef struct {
    uint16_t within;
    int64_t last;
} result_t;

ROW_BODY
{
    result_t result = {0, (int64_t)index * args.step + args.offset};
    for (size_t i = 0; i < width; i++)
        if (i < width1 && i < width2 && ROW1(i) <= ROW(i) && ROW(i) <= ROW2(i))
            result.within++;
    for (size_t i = 0; i < width3; i++)
        result.last += ROW3(i);
    return result;
}
