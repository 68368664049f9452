/* A free body: the index of the row, and its width. */
typedef uint8_t arguments_t; /* none */
typedef struct {
    int64_t index, width;
} result_t;

ROW_BODY
{
    result_t result = {(int64_t)index, (int64_t)width};
    return result;
}
