/* The log: lines on standard error, for the categories that ROWPOOL_LOG names. */
#ifndef RP_BASE_LOG_H
#define RP_BASE_LOG_H

#include <stdbool.h>

/* Every category: X(NAME, name, what it tells). */
#define RP_LOG_CATEGORIES(X)                                  \
    X(DEVICE, device, "devices found, chosen, excluded")      \
    X(BUILD, build, "programs built for a device")            \
    X(RUN, run, "each map: where it ran, in how many chunks") \
    X(WORKER, worker, "worker processes started, ended, lost")

typedef enum {
#define RP_LOG_ENUM(NAME, name, text) RP_LOG_##NAME,
    RP_LOG_CATEGORIES(RP_LOG_ENUM)
#undef RP_LOG_ENUM
} rp_log_category;

/* Whether a category is on: ask before computing what a line says. Thread safe. */
bool rp_log_on(rp_log_category category);

/* Writes "rowpool: category: ...\n" in one piece when the category is on. Thread safe. */
void rp_log(rp_log_category category, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What lines begin with instead of "rowpool": a program's name, before its first line. */
void rp_log_as(const char *name);

/* Writes a line whatever ROWPOOL_LOG says: for misuse that no status can report. */
void rp_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
