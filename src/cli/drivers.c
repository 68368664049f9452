/* rowpool doctor: drivers and the devices that they have. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <grp.h>
#include <link.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices.h"
#include "doctor.h"
#include "environment.h"

#define VENDORS "/etc/OpenCL/vendors"
#define INSTALL_POCL "apt-get install pocl-opencl-icd, or the OpenCL driver of the GPU's vendor"

/* ---- The loader ------------------------------------------------------------------------------------------------- */

static int is_loader(struct dl_phdr_info *object, __attribute__((unused)) size_t size, void *path)
{
    const char *slash = strrchr(object->dlpi_name, '/'), *name = slash != NULL ? slash + 1 : object->dlpi_name;
    bool found = strncmp(name, "libOpenCL.so", strlen("libOpenCL.so")) == 0;
    if (found)
        *(const char **)path = object->dlpi_name;
    return found;
}

/* The library links it, unless it was built without. */
static bool examine_loader(finding_list *list)
{
    const char *path = NULL;
    if (dl_iterate_phdr(is_loader, &path) != 0)
        find(list, FINDING_OK, "OpenCL loader", NULL, "%s", path);
    else
        find(list, FINDING_NOTE, "OpenCL loader", "cmake -D ROWPOOL_OPENCL=ON, and build again",
             "this rowpool was built without OpenCL: worker processes do all");
    return path != NULL;
}

/* ---- Drivers ---------------------------------------------------------------------------------------------------- */

/* Loads it: what it needs itself may be missing too. */
static bool examine_library(finding_list *list, const char *where, const char *library, const char *remedy)
{
    void *driver = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
    if (driver != NULL) {
        find(list, FINDING_OK, "OpenCL driver", NULL, "%s: %s", where, library);
        return true;
    }
    const char *why = dlerror();
    find(list, FINDING_WRONG, "OpenCL driver", remedy, "%s: %s", where, why != NULL ? why : library);
    return false;
}

/* A file whose one line names the driver's library. */
static bool examine_icd(finding_list *list, const char *path)
{
    char line[4096] = "", remedy[200];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        find(list, FINDING_WRONG, "OpenCL driver", INSTALL_POCL, "%s cannot be read: %s", path, strerror(errno));
        return false;
    }
    bool named = fgets(line, sizeof line, file) != NULL;
    (void)fclose(file);
    line[strcspn(line, " \t\r\n")] = '\0';
    (void)snprintf(remedy, sizeof remedy, "install its package again, or remove it: dpkg -S %.120s", path);
    if (named && line[0] != '\0')
        return examine_library(list, path, line, remedy);
    find(list, FINDING_WRONG, "OpenCL driver", remedy, "%s names no library", path);
    return false;
}

static int is_icd(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return length > 4 && strcmp(entry->d_name + length - 4, ".icd") == 0;
}

/* How many of the folder's drivers can be loaded. */
static size_t examine_vendors(finding_list *list, const char *folder, const char *remedy)
{
    struct dirent **entries = NULL;
    size_t loaded = 0;
    int count = scandir(folder, &entries, is_icd, alphasort);
    if (count <= 0)
        find(list, FINDING_WRONG, "OpenCL driver", remedy, "%s %s", folder,
             count < 0 ? "is no folder that can be read: there is no driver" : "has no .icd file: there is no driver");
    for (int i = 0; i < count; i++) {
        char path[4096 + 256];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        loaded += examine_icd(list, path);
        free(entries[i]);
    }
    free(entries);
    return loaded;
}

/* What OCL_ICD_VENDORS says: a folder, a file of one, or a library. */
static size_t examine_named(finding_list *list, const char *named)
{
    static const char remedy[] = "unset OCL_ICD_VENDORS, or name a folder of .icd files, one of them or a library";
    size_t length = strlen(named);
    struct stat what;
    char path[4096];
    if (stat(named, &what) == 0 && S_ISDIR(what.st_mode))
        return examine_vendors(list, named, remedy);
    if (length <= 4 || strcmp(named + length - 4, ".icd") != 0)
        return examine_library(list, "OCL_ICD_VENDORS", named, remedy);
    (void)snprintf(path, sizeof path, "%s%s", strchr(named, '/') == NULL ? VENDORS "/" : "", named);
    return examine_icd(list, path);
}

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

static void examine_helper(finding_list *list, const char *missing)
{
    if (missing != NULL)
        find(list, FINDING_WRONG, "helper program",
             "install rowpool with cmake --install, or set ROWPOOL_HELPER to its path", "%s", missing);
    else
        find(list, FINDING_OK, "helper program", NULL, "rowpool-helper is there");
}

/* True: an OpenCL device that can be used. */
static bool examine_device(finding_list *list, const rowpool_device *device)
{
    static const char skipped[] = "skipped: ";
    bool usable = strncmp(device->reason, skipped, sizeof skipped - 1) != 0;
    const char *why = usable ? NULL : device->reason + sizeof skipped - 1;
    bool opencl = device->type <= ROWPOOL_DEVICE_OTHER;
    if (device->type == ROWPOOL_DEVICE_ISOLATED)
        examine_helper(list, why);
    else if (opencl && usable)
        find(list, FINDING_OK, "OpenCL device", NULL, "%s %s, driver %s", device->index, device->name, device->driver);
    else if (opencl)
        find(list, FINDING_NOTE, "OpenCL device", NULL, "%s %s is not used: %s", device->index, device_label(device),
             why);
    return opencl && usable;
}

/* expected: there are drivers, which could have one. */
static void examine_devices(finding_list *list, bool expected)
{
    device_list devices;
    rowpool_error error;
    size_t usable = 0;
    if (list_devices(&devices, NULL, &error) != ROWPOOL_OK) { /* in this process: it is there for that */
        find(list, FINDING_WRONG, "OpenCL device", "rowpool environment", "%s", error.message);
        return;
    }
    for (size_t i = 0; i < devices.count; i++)
        usable += examine_device(list, &devices.items[i]);
    if (expected && usable == 0)
        find(list, FINDING_WRONG, "OpenCL device", "mend what else is wrong; or " INSTALL_POCL,
             "the drivers have none that rowpool can use");
    free_devices(&devices);
}

/* ---- The pool --------------------------------------------------------------------------------------------------- */

/* As the other commands open it: what the variables say is understood there, or refused. */
static void examine_pool(finding_list *list)
{
    const rowpool_options options = pool_options(NULL);
    rowpool *pool;
    rowpool_error error;
    device_list devices;
    if (rowpool_open(&pool, &options, &error) != ROWPOOL_OK) {
        find(list, FINDING_WRONG, "pool", error.status == ROWPOOL_EINVAL ? "rowpool environment" : NULL, "%s",
             error.message);
        return;
    }
    if (list_devices(&devices, pool, &error) == ROWPOOL_OK) {
        char used[256] = "";
        for (size_t i = 0; i < devices.count && devices.items[i].in_use; i++)
            (void)snprintf(used + strlen(used), sizeof used - strlen(used), "%s%s", i > 0 ? ", " : "",
                           devices.items[i].index);
        find(list, FINDING_OK, "pool", NULL, "opens, on %s", used);
        free_devices(&devices);
    }
    rowpool_close(pool);
}

/* Findings go through the pipe one by one, so that those before a driver's end are not lost. */
static void send_findings(finding_list *list, int pipe)
{
    for (size_t i = 0; i < list->count; i++)
        (void)!write(pipe, &list->items[i], sizeof list->items[i]);
    free_findings(list);
}

/* ---- A kernel --------------------------------------------------------------------------------------------------- */

/* More elements than the calling thread would do alone. */
enum { KERNEL_ROWS = 1000, KERNEL_WIDTH = 10, IN_EACH_ROW = 5 };

static rowpool_status run_kernel(rowpool *pool, bool *right, rowpool_error *error)
{
    static int32_t data[KERNEL_ROWS * KERNEL_WIDTH];
    static uint32_t counts[KERNEL_ROWS];
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = KERNEL_ROWS, .width = KERNEL_WIDTH};
    for (size_t i = 0; i < KERNEL_ROWS * KERNEL_WIDTH; i++)
        data[i] = (int32_t)(i % KERNEL_WIDTH); /* 4 to 8 are five of ten */
    rowpool_status status = rowpool_range_count(pool, &rows, NULL, 0, counts, error);
    *right = true;
    for (size_t row = 0; row < KERNEL_ROWS; row++)
        *right &= counts[row] == IN_EACH_ROW;
    return status;
}

/* What the drivers say on standard error goes to a file, which tells why one ended its process. NULL: there is none. */
static void keep_what_drivers_say(FILE *kept)
{
    (void)unsetenv("ROWPOOL_LOG"); /* it would be the first to say something */
    if (kept != NULL)
        (void)dup2(fileno(kept), STDERR_FILENO);
}

enum { SAID = 320 };

/* The first line that they said, after a colon; of a long one the end, which tells more. "": none. */
static void read_what_drivers_said(FILE *kept, char said[SAID])
{
    enum { MOST = SAID - 10 };
    char line[2048];
    said[0] = '\0';
    if (kept == NULL)
        return;
    rewind(kept);
    if (fgets(line, sizeof line, kept) == NULL)
        return;
    line[strcspn(line, "\n")] = '\0';
    const size_t length = strlen(line), skipped = length > MOST ? length - MOST : 0;
    (void)snprintf(said, SAID, ": %s%s", skipped > 0 ? "..." : "", line + skipped);
}

/* What mends it, by words of the drivers' and of rowpool's that tell what it is. */
static const char *remedy_for(const char *failure, const char *said)
{
    static const char damaged[] =
        "remove the folder that POCL_CACHE_DIR names, or else ~/.cache/pocl: PoCL fills it again";
    static const struct {
        const char *words, *remedy;
    } remedies[] = {
        {"cache_topdir", "POCL_CACHE_DIR is set to nothing: unset it, or name a folder"},
        {"failed to map segment", "POCL_CACHE_DIR=FOLDER, one from which programs may be executed (no noexec mount)"},
        {"Executable \"ld\"", "apt-get install binutils: a driver links kernels with ld, found by PATH"},
        {"dlopen", damaged},
        {"SIGBUS", damaged},
    };
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (strstr(said, remedies[i].words) != NULL || strstr(failure, remedies[i].words) != NULL)
            return remedies[i].remedy;
    return "see the lines around this one; ROWPOOL_ISOLATE=always keeps drivers out of other programs";
}

/* Builds, loads and runs a kernel where the other commands do: in the helper process, named, so that it is waited for,
 * and strict, so that nobody stands in for it. */
static int try_kernel(void *kept, int pipe)
{
    finding_list list = {0};
    const rowpool_options options = {.size = sizeof options, .device = "isolated", .strict = true};
    rowpool *pool;
    rowpool_error error;
    char said[SAID];
    bool right = false;
    keep_what_drivers_say(kept);
    rowpool_status status = rowpool_open(&pool, &options, &error);
    if (status == ROWPOOL_OK)
        status = run_kernel(pool, &right, &error);
    rowpool_close(pool);
    read_what_drivers_said(kept, said);
    if (status != ROWPOOL_OK)
        find(&list, FINDING_WRONG, "OpenCL kernel", remedy_for(error.message, said), "%s%s", error.message, said);
    else if (!right)
        find(&list, FINDING_WRONG, "OpenCL kernel", NULL, "its counts are wrong");
    else
        find(&list, FINDING_OK, "OpenCL kernel", NULL,
             "one was built and run in the helper process, and counted right");
    send_findings(&list, pipe);
    return 0;
}

/* ---- In a process of its own ------------------------------------------------------------------------------------ */

static int try_pool(void *kept, int pipe)
{
    finding_list list = {0};
    keep_what_drivers_say(kept);
    examine_pool(&list);
    send_findings(&list, pipe);
    return 0;
}

static int ask_drivers(void *kept, int pipe)
{
    finding_list list = {0};
    const char *named = variable_value("OCL_ICD_VENDORS");
    keep_what_drivers_say(kept);
    size_t loaded = named != NULL ? examine_named(&list, named) : examine_vendors(&list, VENDORS, INSTALL_POCL);
    send_findings(&list, pipe);
    examine_devices(&list, loaded > 0);
    send_findings(&list, pipe);
    return 0;
}

/* False: it said nothing for so long that nothing more is to come. */
static bool receive_findings(finding_list *list, int pipe)
{
    enum { PATIENCE_MS = 60000 }; /* longer than a helper's */
    struct pollfd end = {.fd = pipe, .events = POLLIN};
    finding one;
    while (poll(&end, 1, PATIENCE_MS) > 0) {
        if (read(pipe, &one, sizeof one) != sizeof one)
            return true;
        add_finding(list, &one);
    }
    return false;
}

/* How the child ended, if it did not do all that it was to do; its own words come after. */
static bool ended_well(finding_list *list, rowpool_process *process, FILE *kept)
{
    char end[END_TEXT], said[SAID];
    describe_end(process, end);
    if (strcmp(end, "exit status 0") == 0)
        return true;
    read_what_drivers_said(kept, said);
    find(list, FINDING_WRONG, "OpenCL driver", remedy_for("", said),
         "a driver ended the process that asked it, with %s%s", end, said);
    return false;
}

/* This process has not used OpenCL: its child may. True: it did all that it was to do. */
static bool examine_in_child(finding_list *list, rowpool_process_run *examine)
{
    rowpool_process *process;
    rowpool_error error;
    bool done = false;
    FILE *kept = tmpfile();
    if (rowpool_process_start(&process, examine, kept, NULL, &error) != ROWPOOL_OK)
        find(list, FINDING_WRONG, "OpenCL driver", NULL, "none can be asked: %s", error.message);
    else if (receive_findings(list, rowpool_process_pipe(process)))
        done = ended_well(list, process, kept);
    else
        find(list, FINDING_WRONG, "OpenCL driver", "name in OCL_ICD_VENDORS the folder of those that are to be used",
             "a driver did not answer for a minute");
    rowpool_process_close(process);
    if (kept != NULL)
        (void)fclose(kept);
    return done;
}

bool examine_drivers(finding_list *list)
{
    bool has_loader = examine_loader(list);
    size_t wrong = count_findings(list, FINDING_WRONG);
    if (has_loader && examine_in_child(list, ask_drivers) && count_findings(list, FINDING_WRONG) == wrong)
        (void)examine_in_child(list, try_kernel);
    (void)examine_in_child(list, try_pool);
    return has_loader;
}

/* ---- GPUs ------------------------------------------------------------------------------------------------------- */

static void examine_node(finding_list *list, const char *path)
{
    struct stat node;
    char remedy[200];
    if (access(path, R_OK | W_OK) == 0) {
        find(list, FINDING_OK, "GPU", NULL, "%s can be opened", path);
        return;
    }
    const char *why = strerror(errno);
    const struct group *owner = stat(path, &node) == 0 ? getgrgid(node.st_gid) : NULL;
    (void)snprintf(remedy, sizeof remedy, "usermod -a -G %s USER, and log in again",
                   owner != NULL ? owner->gr_name : "GROUP");
    find(list, FINDING_WRONG, "GPU", remedy, "%s: %s", path, why);
}

void examine_gpus(finding_list *list)
{
    glob_t nodes;
    if (glob("/dev/{dri/renderD*,kfd,nvidiactl,nvidia[0-9]*}", GLOB_BRACE, NULL, &nodes) != 0) {
        find(list, FINDING_NOTE, "GPU", "in a container: docker run --device /dev/dri, or --gpus all",
             "none is in /dev: no dri/renderD*, kfd or nvidia*");
        return;
    }
    for (size_t i = 0; i < nodes.gl_pathc; i++)
        examine_node(list, nodes.gl_pathv[i]);
    globfree(&nodes);
}
