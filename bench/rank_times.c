#include "rank_times.h"

#include <string.h>

static const char mark[] = "rowpool-bench-rank:";

void bench_rank_times_write(const bench_rank_times *times, FILE *file)
{
    (void)fprintf(file, "%s %.17g %.17g %.17g %.17g\n", mark, times->count, times->agree, times->gather, times->crowd);
}

bool bench_rank_times_read(bench_rank_times *times, const char *text)
{
    const char *line = strstr(text, mark);

    return line && sscanf(line + strlen(mark), "%lg %lg %lg %lg", &times->count, &times->agree, &times->gather,
                          &times->crowd) == 4;
}
