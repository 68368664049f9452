/* rowpool devices, and what all commands that open pools share. */
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

#include "command.h"
#include "environment.h"
#include "group.h"
#include "message.h"
#include "options.h"
#include "output_json.h"
#include "terminal.h"
#include "units.h"

/* ---- The list --------------------------------------------------------------------------------------------------- */

rowpool_status list_pool_devices(device_list *list, rowpool *pool, rowpool_error *error)
{
    size_t capacity;
    *list = (device_list){0};
    RP_TRY(rowpool_devices(pool, NULL, 0, &capacity, error));
    list->items = calloc(capacity + 1, sizeof *list->items);
    if (list->items == NULL)
        end_out_of_memory();
    rowpool_status status = rowpool_devices(pool, list->items, capacity, &list->count, error);
    if (status != ROWPOOL_OK)
        free_devices(list);
    else if (list->count > capacity) /* a device has appeared in between */
        list->count = capacity;
    return status;
}

void free_devices(device_list *list)
{
    free(list->items);
    *list = (device_list){0};
}

rowpool_options pool_options(const char *device)
{
    const char *isolate = variable_value("ROWPOOL_ISOLATE");
    const bool never = the_group()->mpi || (isolate != NULL && strcmp(isolate, "never") == 0);
    return (rowpool_options){.size = sizeof(rowpool_options),
                             .device = device,
                             .isolate = never ? ROWPOOL_ISOLATE_NEVER : ROWPOOL_ISOLATE_ALWAYS};
}

/* ---- In a child process ----------------------------------------------------------------------------------------- */

/* Reads until the child closes its pipe. False: it was silent for too long. */
static bool read_answer(int pipe, FILE *answer)
{
    enum { PATIENCE_MS = 30000 };
    struct pollfd end = {.fd = pipe, .events = POLLIN};
    char bytes[4096];
    for (;;) {
        if (poll(&end, 1, PATIENCE_MS) <= 0)
            return false;
        const ssize_t got = read(pipe, bytes, sizeof bytes);
        if (got == 0 || (got < 0 && errno != EINTR))
            return true;
        (void)fwrite(bytes, 1, got > 0 ? (size_t)got : 0, answer);
    }
}

static rowpool_status check_end(rowpool_process *process, rowpool_error *error)
{
    rowpool_process_state state;
    rowpool_status status = rowpool_process_join(process, -1, error);
    if (status == ROWPOOL_OK)
        status = rowpool_process_status(process, &state, error);
    if (status != ROWPOOL_OK || !state.known || state.exit_code == 0)
        return status;
    if (state.end_signal != 0)
        return rp_fail(error, ROWPOOL_EDEVICE, "signal %d (%s)", state.end_signal, strsignal(state.end_signal));
    return rp_fail(error, ROWPOOL_EDEVICE, "exit status %d", state.exit_code);
}

rowpool_status ask_in_child(rowpool_process_run *ask, void *argument, char **answer, size_t *size, rowpool_error *error)
{
    rowpool_process *process;
    FILE *memory = open_memstream(answer, size);
    if (memory == NULL)
        end_out_of_memory();
    rowpool_status status = rowpool_process_start(&process, ask, argument, NULL, error);
    if (status == ROWPOOL_OK && read_answer(rowpool_process_pipe(process), memory))
        status = check_end(process, error);
    else if (status == ROWPOOL_OK)
        status = rp_fail(error, ROWPOOL_EDEVICE, "no answer for 30 seconds");
    rowpool_process_close(process);
    if (fclose(memory) != 0)
        end_out_of_memory();
    return status;
}

/* The head of the child's answer; the devices follow. refusal: why there is no pool, or ROWPOOL_OK. */
typedef struct {
    rowpool_error refusal, error;
} devices_answer;

/* Runs in a child, which uses OpenCL itself: a helper process would show all OpenCL devices as one. */
static int answer_with_devices(void *argument, int pipe)
{
    const char *isolate = variable_value("ROWPOOL_ISOLATE");
    const rowpool_options options = {.size = sizeof options, .device = *(const char **)argument};
    devices_answer answer = {.refusal = {.status = ROWPOOL_OK}};
    device_list list;
    rowpool *pool;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (isolate != NULL && strcmp(isolate, "always") == 0)
        (void)unsetenv("ROWPOOL_ISOLATE");
    if (rowpool_open(&pool, &options, &answer.refusal) == ROWPOOL_OK)
        answer.refusal.status = ROWPOOL_OK;
    answer.error.status = list_pool_devices(&list, pool, &answer.error);
    FILE *to = fdopen(pipe, "w");
    const bool sent = to != NULL && fwrite(&answer, sizeof answer, 1, to) == 1 &&
                      fwrite(list.items, sizeof *list.items, list.count, to) == list.count && fflush(to) == 0;
    free_devices(&list);
    rowpool_close(pool);
    return sent ? 0 : 1;
}

rowpool_status find_devices(device_list *list, const char *device, rowpool_error *refusal, rowpool_error *error)
{
    char *bytes;
    size_t size;
    devices_answer answer;
    rowpool_error why;
    *list = (device_list){0};
    rowpool_status status = ask_in_child(answer_with_devices, &device, &bytes, &size, &why);
    if (status != ROWPOOL_OK || size < sizeof answer) {
        free(bytes);
        return rp_fail(error, ROWPOOL_EDEVICE, "a driver ended the process that asked it for its devices: %.100s",
                       status != ROWPOOL_OK ? why.message : "no answer");
    }
    memcpy(&answer, bytes, sizeof answer);
    *refusal = answer.refusal;
    *error = answer.error;
    list->count = (size - sizeof answer) / sizeof *list->items;
    list->items = calloc(list->count + 1, sizeof *list->items);
    if (list->items == NULL)
        end_out_of_memory();
    memcpy(list->items, bytes + sizeof answer, list->count * sizeof *list->items);
    free(bytes);
    return error->status;
}

/* ---- Words ------------------------------------------------------------------------------------------------------ */

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

/* ---- The table -------------------------------------------------------------------------------------------------- */

/* "-" where the number is unknown or unlimited. */
static const char *bytes_text(char text[UNITS_TEXT], uint64_t bytes)
{
    const uint64_t unlimited = (uint64_t)1 << 60;
    if (bytes == 0 || bytes >= unlimited)
        return "-";
    format_bytes(text, (double)bytes);
    return text;
}

static int max_length(int length, const char *text)
{
    return (int)strlen(text) > length ? (int)strlen(text) : length;
}

static void print_table(const device_list *list)
{
    static const char line[] = "%s%s  %-8s  %-11s  %-*s  %-*s  %5s  %9s  %9s  %-4s  %-4s  %s%s\n";
    int name = 4, driver = 6;
    for (const rowpool_device *device = list->items; device < list->items + list->count; device++) {
        name = max_length(name, device_label(device));
        driver = max_length(driver, device->driver);
    }
    (void)printf(line, "", " ", "index", "type", name, "name", driver, "driver", "units", "memory", "largest", "fp64",
                 "half", "shared", "");
    for (const rowpool_device *device = list->items; device < list->items + list->count; device++) {
        const char *green = device->in_use ? colour_on(STDOUT_FILENO, COLOUR_GREEN) : "";
        char units[16] = "-", memory[UNITS_TEXT], largest[UNITS_TEXT];
        if (device->units > 0)
            (void)snprintf(units, sizeof units, "%" PRIu32, device->units);
        (void)printf(line, green, device->in_use ? "*" : " ", device->index, device_type_word(device->type), name,
                     device_label(device), driver, device->driver[0] != '\0' ? device->driver : "-", units,
                     bytes_text(memory, device->memory), bytes_text(largest, device->largest_buffer),
                     device->fp64 ? "yes" : "no", device->fp16 ? "yes" : "no", device->shared_memory ? "yes" : "no",
                     green[0] != '\0' ? colour_on(STDOUT_FILENO, COLOUR_NONE) : "");
    }
}

static bool has_opencl(const device_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        /* A platform that could not be asked for its devices is listed under an index without a colon. */
        if (list->items[i].type <= ROWPOOL_DEVICE_OTHER && strchr(list->items[i].index, ':') != NULL)
            return true;
    }
    return false;
}

/* asked: the drivers were asked for their devices. */
static void print_list(const device_list *list, bool asked)
{
    print_table(list);
    (void)printf("\n* in use\n");
    for (size_t i = 0; i < list->count; i++) {
        if (!list->items[i].in_use)
            (void)printf("%s is not used: %s\n", list->items[i].index, list->items[i].reason);
    }
    if (!HAVE_OPENCL)
        (void)printf("this rowpool was built without OpenCL\n");
    else if (asked && !has_opencl(list))
        (void)printf("there is no OpenCL device; for the CPU install PoCL (Debian: pocl-opencl-icd), for a GPU "
                     "mesa-opencl-icd or its vendor's driver\n");
}

static rowpool_status print_list_as_json(const device_list *list, rowpool_error *error)
{
    json_t *devices = json_array();
    for (size_t i = 0; i < list->count; i++)
        (void)json_array_append_new(devices, device_as_json(&list->items[i]));
    return print_json(json_pack("{s:o}", "devices", devices), error);
}

/* ---- The command ------------------------------------------------------------------------------------------------ */

static const char devices_help[] =
    "Lists every device that rowpool finds: the OpenCL devices, worker processes (fork) and the program itself "
    "(host).\n"
    "A star marks those that a pool would use; for the others the reason is given. The other commands run OpenCL in a\n"
    "helper process, and show all of its devices as the device isolated.\n"
    "\n"
    "  units    compute units, cores or processes\n"
    "  largest  the largest buffer; larger arrays are cut into chunks\n"
    "  fp64     doubles in hardware; half: float16 in hardware. Every element type works without them\n"
    "  shared   works in the memory of the program: nothing is copied\n"
    "\n" DEVICE_HELP "  --json          print one JSON object\n"
    "  --help          show this text\n";

typedef struct {
    const char *device; /* NULL: as the environment says */
    bool json;
} devices_options;

/* Used if a driver ended the child: lists the devices of a pool that runs OpenCL in a helper process. */
static void list_without_drivers(device_list *list, const char *device)
{
    const rowpool_options options = {.size = sizeof options, .device = device, .isolate = ROWPOOL_ISOLATE_ALWAYS};
    rowpool *pool;
    if (rowpool_open(&pool, &options, NULL) == ROWPOOL_OK)
        (void)list_pool_devices(list, pool, NULL);
    rowpool_close(pool);
}

/* The list is printed even if the pool cannot be opened: it shows which devices can be named. */
static int show_devices(const devices_options *wanted)
{
    device_list list;
    rowpool_error refusal, error;
    const bool found = find_devices(&list, wanted->device, &refusal, &error) == ROWPOOL_OK;
    const bool asked = found && wanted->device == NULL && variable_value("ROWPOOL_DEVICE") == NULL;
    if (!found) {
        (void)rp_fail(&refusal, error.status, "%.900s; rowpool doctor tells more", error.message);
        list_without_drivers(&list, wanted->device);
    }
    rowpool_status status = ROWPOOL_OK;
    if (wanted->json)
        status = print_list_as_json(&list, &error);
    else
        print_list(&list, asked);
    free_devices(&list);
    if (refusal.status != ROWPOOL_OK)
        say(NULL, "%s", refusal.message);
    if (status != ROWPOOL_OK)
        say(NULL, "%s", error.message);
    return refusal.status != ROWPOOL_OK || status != ROWPOOL_OK ? EXIT_FAILED : EXIT_DONE;
}

static bool read_devices_option(void *into, int option, const char *value)
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
    static const command_line line = {
        "devices", {"devices [--device LIST] [--json]"}, devices_help, known, read_devices_option};
    devices_options wanted = {0};
    int understood = read_options(&line, &wanted, NULL, argc, argv);
    return understood == GO_ON ? show_devices(&wanted) : understood;
}
