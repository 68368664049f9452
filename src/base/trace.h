/* The trace: what ran when, in the Chrome trace format, to the file that ROWPOOL_TRACE names. The file is whole after
 * every event: an array of JSON objects. Perfetto and chrome://tracing open it. */
#ifndef RP_BASE_TRACE_H
#define RP_BASE_TRACE_H

#include <stdbool.h>
#include <time.h>

/* Whether there is a trace: ask before computing what an event says. All of this is thread safe. */
bool rp_trace_on(void);

/* Something that took from `begin` to `end` (CLOCK_MONOTONIC), in the row of the timeline that `track` names. detail is
 * one line about it, or "". */
void rp_trace_span(const char *track, const char *name, struct timespec begin, struct timespec end, const char *detail);

/* Something that happened just now. */
void rp_trace_instant(const char *track, const char *name, const char *detail);

#endif
