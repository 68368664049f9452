#include "progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "call.h"
#include "message.h"
#include "terminal.h"
#include "units.h"

static const double MOMENT = 0.7;
static const double BETWEEN = 0.1;

progress_bar begin_progress(progress_choice choice, size_t bytes)
{
    progress_bar bar = {
        .choice = choice, .bytes = bytes, .begun = seconds_now(), .terminal = is_terminal(STDERR_FILENO)};
    if ((choice == PROGRESS_AUTO && !bar.terminal) || messages_are_held())
        bar.choice = PROGRESS_NO;
    bar.next = choice == PROGRESS_YES ? 0 : bar.begun + MOMENT;
    return bar;
}

/* "[####....]" */
static void draw_bar(char *text, size_t cells, double share)
{
    const size_t full = (size_t)(share * (double)cells);
    text[0] = '[';
    memset(text + 1, '#', full);
    memset(text + 1 + full, '.', cells - full);
    (void)strcpy(text + 1 + cells, "]");
}

/* The time left, if known. */
static void format_rest(char text[UNITS_TEXT + 16], double share, double seconds)
{
    char rest[UNITS_TEXT] = "less than 1 s";
    text[0] = '\0';
    if (share <= 0 || share >= 1)
        return;
    const double left = seconds / share * (1 - share);
    if (left >= 1)
        format_seconds(rest, left);
    (void)snprintf(text, UNITS_TEXT + 16, ", %s left", rest);
}

static void draw_progress(progress_bar *bar, double share, double seconds)
{
    enum { MAX_CELLS = 40, BESIDE = 52 /* columns beside the bar */ };
    const size_t width = terminal_width(STDERR_FILENO);
    const size_t cells = width < BESIDE + 10 ? 10 : width - BESIDE > MAX_CELLS ? MAX_CELLS : width - BESIDE;
    char cells_text[MAX_CELLS + 3];
    char rate[UNITS_TEXT];
    char rest[UNITS_TEXT + 16];
    draw_bar(cells_text, cells, share);
    format_rate(rate, seconds > 0 ? share * (double)bar->bytes / seconds : 0);
    format_rest(rest, share, seconds);
    (void)fprintf(stderr, "%s%3d %% %s %s%s%s", bar->terminal ? "\r" : "", (int)(share * 100), cells_text, rate, rest,
                  bar->terminal ? "\033[K" : "\n");
    bar->drawn = true;
}

void show_progress(progress_bar *bar, size_t done, size_t rows)
{
    const double now = seconds_now();
    if (bar->choice == PROGRESS_NO || now < bar->next)
        return;
    bar->next = now + (bar->terminal ? BETWEEN : 10 * BETWEEN);
    draw_progress(bar, rows > 0 ? (double)done / (double)rows : 1, now - bar->begun);
}

void end_progress(progress_bar *bar)
{
    if (bar->drawn && bar->terminal)
        (void)fputs("\r\033[K", stderr);
    bar->drawn = false;
}
