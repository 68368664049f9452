/* Amounts in human-readable form. */
#ifndef ROWPOOL_CLI_UNITS_H
#define ROWPOOL_CLI_UNITS_H

enum { UNITS_TEXT = 32 };

/* "60 bytes", "8.5 MiB": powers of 1024, as memory is counted. */
void format_bytes(char text[UNITS_TEXT], double bytes);

/* "410 MB/s", "12.3 GB/s": powers of 1000, as rates are. */
void format_rate(char text[UNITS_TEXT], double bytes_per_second);

/* "0.42 ms", "3.1 s", "4 min 05 s". */
void format_seconds(char text[UNITS_TEXT], double seconds);

#endif
