#include "units.h"

#include <stddef.h>
#include <stdio.h>

enum { UNIT_COUNT = 6 };

static size_t scale_amount(double *amount, double step)
{
    size_t unit = 0;
    for (; *amount >= step && unit + 1 < UNIT_COUNT; unit++)
        *amount /= step;
    return unit;
}

void format_bytes(char text[UNITS_TEXT], double bytes)
{
    static const char *const units[UNIT_COUNT] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    const size_t unit = scale_amount(&bytes, 1024);
    (void)snprintf(text, UNITS_TEXT, "%.*f %s", unit == 0 ? 0 : 1, bytes, units[unit]);
}

void format_rate(char text[UNITS_TEXT], double bytes_per_second)
{
    static const char *const units[UNIT_COUNT] = {"B/s", "kB/s", "MB/s", "GB/s", "TB/s", "PB/s"};
    const size_t unit = scale_amount(&bytes_per_second, 1000);
    (void)snprintf(text, UNITS_TEXT, "%.*f %s", bytes_per_second < 100 ? 1 : 0, bytes_per_second, units[unit]);
}

void format_seconds(char text[UNITS_TEXT], double seconds)
{
    if (seconds < 1)
        (void)snprintf(text, UNITS_TEXT, "%.2f ms", seconds * 1e3);
    else if (seconds < 60)
        (void)snprintf(text, UNITS_TEXT, "%.1f s", seconds);
    else
        (void)snprintf(text, UNITS_TEXT, "%.0f min %02d s", (seconds - (double)((long)seconds % 60)) / 60,
                       (int)((long)seconds % 60));
}
