/* A free body of two inputs, the second in double: the dot product of the row with another, as far as both go. */
#define ROW_INPUTS 2
#define ROW1_DTYPE float64

typedef uint8_t arguments_t; /* none */
typedef double result_t;

ROW_BODY
{
    double sum = 0;
    for (size_t i = 0; i < width && i < width1; i++)
        sum += (double)ROW(i) * ROW1(i);
    return sum;
}
