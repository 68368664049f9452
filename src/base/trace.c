#include "base/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/self.h"
#include "base/settings.h"

enum { TRACKS = 512, NAME = 96, TEXT = 6 * 1024 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static rp_mutex lock = RP_MUTEX(RP_LOCK_TRACE); /* everything below, once it is open */
static int file = -1;
static pid_t owner;  /* a forked child inherits the file, but does not write it */
static off_t length; /* of the file, without the closing bracket */
static struct {
    char name[NAME];
    int64_t end; /* of the last span in it, in nanoseconds */
} tracks[TRACKS];
static size_t n_tracks;

static void open_trace(void)
{
    const char *path = rp_setting_text(RP_SETTING_TRACE);
    if (path == NULL)
        return;
    int opened = rp_descriptor_keep(open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (opened < 0) {
        rp_warn("%s: cannot open %s: %s", rp_setting_name(RP_SETTING_TRACE), path, strerror(errno));
        return;
    }
    owner = rp_self();
    file = opened;
}

bool rp_trace_on(void)
{
    pthread_once(&once, open_trace);
    return file >= 0 && owner == rp_self();
}

/* Appends one event and the bracket that closes the array. The lock is held. */
static void append_event(const char *event)
{
    char text[TEXT + 16];
    int n = snprintf(text, sizeof text, "%s\n%s\n]\n", length == 0 ? "[" : ",", event);
    if (n < 0 || (size_t)n >= sizeof text)
        return;
    if (pwrite(file, text, (size_t)n, length) == n)
        length += n - 3; /* the next event overwrites the bracket */
}

/* Escapes text for a JSON string. */
static void escape(const char *text, char *escaped, size_t size)
{
    size_t n = 0;
    for (; *text != '\0' && n + 8 < size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            escaped[n++] = '\\';
        if (c >= 0x20)
            escaped[n++] = (char)c;
        else
            n += (size_t)snprintf(escaped + n, size - n, "\\u%04x", c);
    }
    escaped[n] = '\0';
}

/* The format counts in microseconds. Two whole numbers: the locale's decimal point does not matter. */
#define MICROSECONDS "%" PRId64 ".%03d"
#define AS_MICROSECONDS(ns) (ns) / 1000, (int)((ns) % 1000)

/* The number of a track of that name that is free at `begin`. Spans that overlap get several tracks of one name; a new
 * track is written to the file. The lock is held. */
static size_t track_number(const char *name, int64_t begin)
{
    char wanted[NAME], event[2 * NAME + 128], escaped[2 * NAME];
    snprintf(wanted, sizeof wanted, "%s", name);
    for (size_t i = 0; i < n_tracks; i++)
        if (strcmp(tracks[i].name, wanted) == 0 && tracks[i].end <= begin)
            return i;
    if (n_tracks == TRACKS)
        return TRACKS - 1;
    memcpy(tracks[n_tracks].name, wanted, NAME);
    escape(wanted, escaped, sizeof escaped);
    snprintf(event, sizeof event,
             "{\"name\": \"thread_name\", \"ph\": \"M\", \"pid\": %ld, \"tid\": %zu, \"args\": {\"name\": \"%s\"}}",
             (long)owner, n_tracks, escaped);
    append_event(event);
    return n_tracks++;
}

/* phase: the members of the event that depend on its kind. */
static void write_event(const char *track, const char *name, const char *phase, int64_t begin, int64_t end,
                        const char *detail)
{
    char event[TEXT], about[TEXT / 2], what[2 * NAME];
    escape(name, what, sizeof what);
    escape(detail, about, sizeof about);
    rp_lock(&lock);
    size_t number = track_number(track, begin);
    tracks[number].end = end;
    snprintf(event, sizeof event,
             "{\"name\": \"%s\", %s, \"ts\": " MICROSECONDS
             ", \"pid\": %ld, \"tid\": %zu, \"args\": {\"detail\": \"%s\"}}",
             what, phase, AS_MICROSECONDS(begin), (long)owner, number, about);
    append_event(event);
    rp_unlock(&lock);
}

void rp_trace_span(const char *track, const char *name, struct timespec begin, struct timespec end, const char *detail)
{
    char phase[64];
    if (!rp_trace_on())
        return;
    const int64_t from = rp_clock_as_ns(begin), to = rp_clock_as_ns(end);
    snprintf(phase, sizeof phase, "\"ph\": \"X\", \"dur\": " MICROSECONDS, AS_MICROSECONDS(to - from));
    write_event(track, name, phase, from, to, detail);
}

void rp_trace_instant(const char *track, const char *name, const char *detail)
{
    if (!rp_trace_on())
        return;
    const int64_t now = rp_clock_ns();
    write_event(track, name, "\"ph\": \"i\", \"s\": \"p\"", now, now, detail);
}
