#include "devices.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "company.h"
#include "environment.h"
#include "message.h"
#include "options.h"
#include "output_json.h"
#include "terminal.h"
#include "units.h"

/* ---- The list --------------------------------------------------------------------------------------------------- */

rowpool_status list_devices(device_list *list, rowpool *pool, rowpool_error *error)
{
    *list = (device_list){0};
    size_t capacity = 0;
    for (;;) {
        rowpool_status status = rowpool_devices(pool, list->items, capacity, &list->count, error);
        if (status == ROWPOOL_OK && list->count <= capacity)
            return ROWPOOL_OK;
        free_devices(list);
        if (status != ROWPOOL_OK)
            return status;
        /* A few more than asked for: there may be one more by the next call. */
        capacity = list->count + 4;
        list->items = calloc(capacity, sizeof *list->items);
        if (list->items == NULL)
            return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    }
}

void free_devices(device_list *list)
{
    free(list->items);
    list->items = NULL;
}

rowpool_options pool_options(const char *device)
{
    const char *isolate = variable_value("ROWPOOL_ISOLATE");
    const bool never = the_company()->several || (isolate != NULL && strcmp(isolate, "never") == 0);
    return (rowpool_options){.size = sizeof(rowpool_options),
                             .device = device,
                             .isolate = never ? ROWPOOL_ISOLATE_NEVER : ROWPOOL_ISOLATE_ALWAYS};
}

/* ---- In a process of its own ------------------------------------------------------------------------------------ */

void describe_end(rowpool_process *process, char text[END_TEXT])
{
    rowpool_process_state state = {0};
    if (rowpool_process_join(process, -1, NULL) != ROWPOOL_OK ||
        rowpool_process_status(process, &state, NULL) != ROWPOOL_OK)
        (void)snprintf(text, END_TEXT, "an unknown end");
    else if (state.end_signal != 0)
        (void)snprintf(text, END_TEXT, "signal %d (%s)", state.end_signal, strsignal(state.end_signal));
    else
        (void)snprintf(text, END_TEXT, "exit status %d", state.exit_code);
}

/* What the child says first; the devices follow. */
typedef struct {
    rowpool_error refusal, error;
    size_t count;
} device_answer;

/* OpenCL is in the child itself, whose end is no harm: with a helper process it would be one device. */
static int answer_with_devices(void *device, int pipe)
{
    const char *isolate = variable_value("ROWPOOL_ISOLATE");
    const rowpool_options options = {.size = sizeof options, .device = device};
    device_answer answer = {.refusal = {.status = ROWPOOL_OK}};
    device_list list = {0};
    rowpool *pool;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (isolate != NULL && strcmp(isolate, "always") == 0)
        (void)unsetenv("ROWPOOL_ISOLATE");
    if (rowpool_open(&pool, &options, &answer.refusal) == ROWPOOL_OK)
        answer.refusal.status = ROWPOOL_OK;
    answer.error.status = list_devices(&list, pool, &answer.error);
    answer.count = list.count;
    bool sent = write(pipe, &answer, sizeof answer) == sizeof answer;
    for (size_t i = 0; i < list.count; i++)
        sent = sent && write(pipe, &list.items[i], sizeof list.items[i]) == sizeof list.items[i];
    free_devices(&list);
    rowpool_close(pool);
    return sent ? 0 : 1;
}

/* False: the end came before. */
static bool read_whole(int pipe, void *into, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(pipe, (char *)into + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

/* False: the child has not answered, or not to the end. */
static bool read_devices(device_list *list, int pipe, rowpool_error *refusal, rowpool_error *error)
{
    enum { PATIENCE_MS = 30000 };
    struct pollfd end = {.fd = pipe, .events = POLLIN};
    device_answer answer;
    if (poll(&end, 1, PATIENCE_MS) <= 0 || !read_whole(pipe, &answer, sizeof answer))
        return false;
    *refusal = answer.refusal;
    *error = answer.error;
    list->items = calloc(answer.count + 1, sizeof *list->items);
    if (list->items == NULL)
        return false;
    list->count = answer.count;
    return read_whole(pipe, list->items, answer.count * sizeof *list->items);
}

/* The devices of the machine, asked in a child process, for a driver may end the one that asks it; only as long as this
 * process has no other thread. Those are in use that a pool for `device` takes; refusal: why it is none, or ROWPOOL_OK. */
static rowpool_status ask_for_devices(device_list *list, const char *device, rowpool_error *refusal,
                                      rowpool_error *error)
{
    union {
        const char *in;
        void *out;
    } argument = {.in = device}; /* the child does not write there */
    rowpool_process *process;
    *list = (device_list){0};
    rowpool_status status = rowpool_process_start(&process, answer_with_devices, argument.out, NULL, error);
    if (status != ROWPOOL_OK)
        return status;
    if (read_devices(list, rowpool_process_pipe(process), refusal, error)) {
        status = error->status;
    } else {
        char end[END_TEXT] = "no answer for 30 seconds";
        if (!rowpool_process_alive(process) || rowpool_process_join(process, 0, NULL) == ROWPOOL_OK)
            describe_end(process, end);
        status = rp_fail(
            error, ROWPOOL_EDEVICE,
            "an OpenCL driver ended the process that asked it for its devices: %s; rowpool doctor tells more", end);
    }
    rowpool_process_close(process);
    if (status != ROWPOOL_OK)
        free_devices(list);
    return status;
}

const char *device_label(const rowpool_device *device)
{
    return device->name[0] != '\0' ? device->name : device->platform;
}

const char *device_type_word(rowpool_device_type type)
{
    switch (type) {
    case ROWPOOL_DEVICE_CPU:
        return "cpu";
    case ROWPOOL_DEVICE_GPU:
        return "gpu";
    case ROWPOOL_DEVICE_ACCELERATOR:
        return "accelerator";
    case ROWPOOL_DEVICE_FORK:
        return "fork";
    case ROWPOOL_DEVICE_HOST:
        return "host";
    case ROWPOOL_DEVICE_ISOLATED:
        return "isolated";
    case ROWPOOL_DEVICE_OTHER:
        break;
    }
    return "other";
}

const char *backend_word(rowpool_device_type type)
{
    if (type == ROWPOOL_DEVICE_FORK)
        return "processes";
    if (type == ROWPOOL_DEVICE_ISOLATED)
        return "OpenCL in a helper process";
    return type == ROWPOOL_DEVICE_HOST ? "this process" : "OpenCL";
}

/* A platform that could not be asked has no device's index. */
static bool has_opencl(const device_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i].type < ROWPOOL_DEVICE_FORK && strchr(list->items[i].index, ':') != NULL)
            return true;
    }
    return false;
}

static const char *const HINT = HAVE_OPENCL
                                    ? "there is no OpenCL device: on Debian the package pocl-opencl-icd makes one of "
                                      "the CPU, mesa-opencl-icd or the vendor's driver one of a GPU"
                                    : "this rowpool was built without OpenCL";

/* A pool that has no use for OpenCL does not look for it. A helper process does; a child that is no other program could not
 * while this one has threads. */
const char *hint_without_opencl(void)
{
    const rowpool_options options = {.size = sizeof options, .device = "isolated"};
    rowpool *pool;
    rowpool_error error;
    if (!HAVE_OPENCL)
        return HINT;
    if (rowpool_open(&pool, &options, &error) == ROWPOOL_OK) {
        rowpool_close(pool);
        return NULL;
    }
    return strstr(error.message, "there is no OpenCL device") != NULL ? HINT : NULL;
}

/* ---- The table -------------------------------------------------------------------------------------------------- */

enum { COLUMNS = 11, CELL = 130 /* the longest name, terminated */ };

typedef struct {
    char cell[COLUMNS][CELL];
} table_row;

/* Numbers stand at the right of their column. */
static const struct {
    const char *title;
    bool right;
} HEADINGS[COLUMNS] = {
    {"", false},      {"index", false},  {"type", false}, {"name", false}, {"driver", false}, {"units", true},
    {"memory", true}, {"largest", true}, {"fp64", false}, {"half", false}, {"shared", false},
};

static void set(char cell[CELL], const char *text)
{
    (void)snprintf(cell, CELL, "%s", text[0] != '\0' ? text : "-");
}

/* Nothing is shown where it is not known or where there is no limit. */
static void set_bytes(char cell[CELL], uint64_t bytes)
{
    const uint64_t unlimited = (uint64_t)1 << 60;
    if (bytes == 0 || bytes >= unlimited)
        set(cell, "-");
    else
        format_bytes(cell, (double)bytes);
}

static void fill_row(table_row *row, const rowpool_device *device)
{
    (void)snprintf(row->cell[0], CELL, "%s", device->in_use ? "*" : "");
    set(row->cell[1], device->index);
    set(row->cell[2], device_type_word(device->type));
    set(row->cell[3], device_label(device));
    set(row->cell[4], device->driver);
    set(row->cell[5], "-");
    if (device->units > 0)
        (void)snprintf(row->cell[5], CELL, "%" PRIu32, device->units);
    set_bytes(row->cell[6], device->memory);
    set_bytes(row->cell[7], device->largest_buffer);
    set(row->cell[8], device->fp64 ? "yes" : "no");
    set(row->cell[9], device->fp16 ? "yes" : "no");
    set(row->cell[10], device->shared_memory ? "yes" : "no");
}

static void print_row(const table_row *row, const size_t widths[COLUMNS])
{
    const bool in_use = strcmp(row->cell[0], "*") == 0;
    (void)fputs(in_use ? colour_on(STDOUT_FILENO, COLOUR_GREEN) : "", stdout);
    for (size_t i = 0; i < COLUMNS; i++) {
        const char *cell = row->cell[i];
        int padding = (int)(widths[i] - strlen(cell));
        if (HEADINGS[i].right)
            (void)printf("%*s%s", padding, "", cell);
        else if (i + 1 < COLUMNS)
            (void)printf("%s%*s", cell, padding, "");
        else
            (void)printf("%s", cell);
        (void)printf("%s", i + 1 < COLUMNS ? "  " : in_use ? colour_on(STDOUT_FILENO, COLOUR_NONE) : "");
    }
    (void)printf("\n");
}

static void print_table(const table_row *rows, size_t count)
{
    size_t widths[COLUMNS] = {0};
    for (size_t i = 0; i < count; i++) {
        for (size_t column = 0; column < COLUMNS; column++) {
            size_t width = strlen(rows[i].cell[column]);
            widths[column] = width > widths[column] ? width : widths[column];
        }
    }
    for (size_t i = 0; i < count; i++)
        print_row(&rows[i], widths);
}

static void print_reasons(const device_list *list, const char *hint)
{
    (void)printf("\n* in use\n");
    for (size_t i = 0; i < list->count; i++) {
        const rowpool_device *device = &list->items[i];
        if (!device->in_use)
            (void)printf("%s is not used: %s\n", device->index, device->reason);
    }
    if (hint != NULL)
        (void)printf("%s\n", hint);
}

static rowpool_status print_list(const device_list *list, rowpool_error *error)
{
    const char *hint = has_opencl(list) ? NULL : hint_without_opencl();
    table_row *rows = calloc(list->count + 1, sizeof *rows);
    if (rows == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    for (size_t i = 0; i < COLUMNS; i++)
        (void)snprintf(rows[0].cell[i], CELL, "%s", HEADINGS[i].title);
    for (size_t i = 0; i < list->count; i++)
        fill_row(&rows[i + 1], &list->items[i]);
    print_table(rows, list->count + 1);
    print_reasons(list, hint);
    free(rows);
    return ROWPOOL_OK;
}

static rowpool_status print_list_as_json(const device_list *list, rowpool_error *error)
{
    json_t *devices = json_array();
    for (size_t i = 0; i < list->count; i++)
        (void)json_array_append_new(devices, device_as_json(&list->items[i]));
    return print_json(json_pack("{s:o}", "devices", devices), error);
}

/* ---- The command ------------------------------------------------------------------------------------------------ */

static const char HELP[] = "Lists every device that rowpool finds: the OpenCL devices, worker processes (fork) and the "
                           "program itself (host).\n"
                           "A star marks those that a pool would use; for the others the reason is given. The other "
                           "commands\n"
                           "have the OpenCL devices in a helper process, and show them as the device isolated.\n"
                           "\n"
                           "  units    compute units, cores or processes\n"
                           "  largest  the largest buffer; larger arrays are cut into chunks\n"
                           "  fp64     doubles in hardware, half: float16 likewise; every element type works without\n"
                           "  shared   works in the memory of the program: nothing is copied\n"
                           "\n" DEVICE_HELP "  --json          print one JSON object\n"
                           "  --help          show this text\n";

typedef struct {
    const char *device; /* NULL: as the environment says */
    bool json;
} devices_options;

/* Where the drivers cannot be asked: what a pool has then. */
static rowpool_status list_without_drivers(device_list *list, const char *device, rowpool_error *error)
{
    const rowpool_options options = {.size = sizeof options, .device = device, .isolate = ROWPOOL_ISOLATE_ALWAYS};
    rowpool *pool;
    rowpool_status status = rowpool_open(&pool, &options, error);
    if (status == ROWPOOL_OK)
        status = list_devices(list, pool, error);
    rowpool_close(pool);
    return status;
}

/* Where the wanted devices are not there, those that are help to choose others. */
static int show_devices(const devices_options *wanted)
{
    device_list list;
    rowpool_error refusal, error;
    if (ask_for_devices(&list, wanted->device, &refusal, &error) != ROWPOOL_OK) {
        refusal = error;
        (void)list_without_drivers(&list, wanted->device, &error);
    }
    rowpool_status status = wanted->json ? print_list_as_json(&list, &error) : print_list(&list, &error);
    free_devices(&list);
    if (refusal.status != ROWPOOL_OK)
        say(NULL, "%s", refusal.message);
    if (status != ROWPOOL_OK)
        say(NULL, "%s", error.message);
    return refusal.status != ROWPOOL_OK || status != ROWPOOL_OK ? EXIT_FAILED : EXIT_DONE;
}

static bool read_option(void *into, int option, const char *value)
{
    devices_options *options = into;
    if (option == 'j')
        return options->json = true;
    return read_device_option(&options->device, "devices", value);
}

int run_devices(int argc, char **argv)
{
    static const struct option known[] = {{"device", required_argument, NULL, 'd'},
                                          {"json", no_argument, NULL, 'j'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    static const command_line devices = {"devices", {"devices [--device LIST] [--json]"}, HELP, known, read_option};
    devices_options wanted = {0};
    int understood = read_options(&devices, &wanted, NULL, argc, argv);
    return understood == GO_ON ? show_devices(&wanted) : understood;
}
