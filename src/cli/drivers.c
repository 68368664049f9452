/* rowpool doctor: OpenCL drivers, their devices, and the pool that opens on them. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <glob.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices.h"
#include "doctor.h"
#include "environment.h"
#include "options.h"

#define VENDORS "/etc/OpenCL/vendors"
#define INSTALL_POCL "apt-get install pocl-opencl-icd, or the OpenCL driver of the GPU's vendor"

/* ---- What drivers write to standard error ----------------------------------------------------------------------- */

/* Standard error goes to a file while a driver works: its first line says why the driver ended its process. */
typedef struct {
    FILE *file; /* NULL: nothing is captured */
    int before;
} stderr_capture;

static stderr_capture begin_capture(void)
{
    stderr_capture capture = {tmpfile(), dup(STDERR_FILENO)};
    if (capture.file != NULL && capture.before >= 0)
        (void)dup2(fileno(capture.file), STDERR_FILENO);
    return capture;
}

enum { SAID = 320 };

/* said: ": " and the first line, or the end of a long one; "" if nothing was written. */
static void end_capture(stderr_capture *capture, char said[SAID])
{
    enum { MAX_LINE = SAID - 10 };
    char line[2048] = "";
    if (capture->before >= 0) {
        (void)dup2(capture->before, STDERR_FILENO);
        (void)close(capture->before);
    }
    if (capture->file != NULL) {
        rewind(capture->file);
        if (fgets(line, sizeof line, capture->file) == NULL)
            line[0] = '\0';
        (void)fclose(capture->file);
    }
    line[strcspn(line, "\n")] = '\0';
    const size_t length = strlen(line), skipped = length > MAX_LINE ? length - MAX_LINE : 0;
    (void)snprintf(said, SAID, "%s%s%s", length > 0 ? ": " : "", skipped > 0 ? "..." : "", line + skipped);
}

/* The remedy for a driver that ended its process, found by words in the message or in the driver's output. */
static const char *remedy_for(const char *message, const char *said)
{
    static const char damaged[] =
        "remove the folder that POCL_CACHE_DIR names, or else ~/.cache/pocl: PoCL creates it again";
    static const struct {
        const char *words, *remedy;
    } remedies[] = {
        {"cache_topdir", "POCL_CACHE_DIR is empty: unset it, or name a folder"},
        {"failed to map segment", "POCL_CACHE_DIR=FOLDER, one from which programs may be executed (no noexec mount)"},
        {"Executable \"ld\"", "apt-get install binutils: a driver links kernels with ld, found by PATH"},
        {"dlopen", damaged},
        {"SIGBUS", damaged},
    };
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (strstr(said, remedies[i].words) != NULL || strstr(message, remedies[i].words) != NULL)
            return remedies[i].remedy;
    return "see the other findings; with ROWPOOL_ISOLATE=always the driver cannot end your own program";
}

/* ---- Drivers ---------------------------------------------------------------------------------------------------- */

/* Runs in a child: loads the library, or writes why it cannot be loaded. */
static int load_library(void *argument, int pipe)
{
    if (dlopen(*(const char **)argument, RTLD_LAZY | RTLD_LOCAL) == NULL)
        (void)dprintf(pipe, "%s", dlerror());
    return 0;
}

static bool examine_library(report *to, const char *where, const char *library, const char *remedy)
{
    char *why;
    size_t size;
    rowpool_error error;
    rowpool_status status = ask_in_child(load_library, &library, &why, &size, &error);
    const bool loaded = status == ROWPOOL_OK && size == 0;
    if (loaded)
        add_finding(to, FINDING_OK, "OpenCL driver", NULL, "%s: %s", where, library);
    else if (status == ROWPOOL_OK)
        add_finding(to, FINDING_WRONG, "OpenCL driver", remedy, "%s: %s", where, why);
    else
        add_finding(to, FINDING_WRONG, "OpenCL driver", remedy, "%s: %s cannot be loaded in a process of its own: %s",
                    where, library, error.message);
    free(why);
    return loaded;
}

/* An .icd file: its one line names the driver's library. */
static bool examine_icd(report *to, const char *path)
{
    char line[4096] = "", remedy[200];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        add_finding(to, FINDING_WRONG, "OpenCL driver", INSTALL_POCL, "%s cannot be read: %s", path, strerror(errno));
        return false;
    }
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    (void)fclose(file);
    line[strcspn(line, " \t\r\n")] = '\0';
    (void)snprintf(remedy, sizeof remedy, "install its package again, or remove it: dpkg -S %.120s", path);
    if (line[0] != '\0')
        return examine_library(to, path, line, remedy);
    add_finding(to, FINDING_WRONG, "OpenCL driver", remedy, "%s names no library", path);
    return false;
}

static int is_icd(const struct dirent *entry)
{
    return path_ends_with(entry->d_name, ".icd");
}

/* Returns how many of the folder's drivers can be loaded. */
static size_t examine_vendors(report *to, const char *folder, const char *remedy)
{
    struct dirent **entries = NULL;
    size_t loaded = 0;
    int count = scandir(folder, &entries, is_icd, alphasort);
    if (count <= 0)
        add_finding(to, FINDING_WRONG, "OpenCL driver", remedy, "%s %s", folder,
                    count < 0 ? "cannot be read: there is no driver" : "has no .icd file: there is no driver");
    for (int i = 0; i < count; i++) {
        char path[4096 + 256];
        (void)snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        loaded += examine_icd(to, path);
        free(entries[i]);
    }
    free(entries);
    return loaded;
}

/* OCL_ICD_VENDORS names a folder of .icd files, one such file, or a library. */
static size_t examine_drivers(report *to)
{
    static const char remedy[] = "unset OCL_ICD_VENDORS, or name a folder of .icd files, one of them or a library";
    const char *named = variable_value("OCL_ICD_VENDORS");
    struct stat what;
    char path[4096];
    if (named == NULL)
        return examine_vendors(to, VENDORS, INSTALL_POCL);
    if (stat(named, &what) == 0 && S_ISDIR(what.st_mode))
        return examine_vendors(to, named, remedy);
    if (!path_ends_with(named, ".icd"))
        return examine_library(to, "OCL_ICD_VENDORS", named, remedy);
    (void)snprintf(path, sizeof path, "%s%s", strchr(named, '/') == NULL ? VENDORS "/" : "", named);
    return examine_icd(to, path);
}

/* ---- PoCL's cache ----------------------------------------------------------------------------------------------- */

/* Tries to create a file, since root may write whatever the permissions say. A folder that does not exist yet is judged
 * by its nearest existing parent. */
static bool can_be_written(const char *folder)
{
    char path[4096 + 16];
    (void)snprintf(path, sizeof path, "%.4095s", folder);
    while (access(path, F_OK) != 0) {
        char *slash = strrchr(path, '/');
        if (slash != NULL && slash != path)
            *slash = '\0';
        else
            (void)strcpy(path, slash == NULL ? "." : "/");
    }
    (void)strcat(path, "/.rowpool-XXXXXX");
    int fd = mkstemp(path);
    if (fd < 0)
        return false;
    (void)close(fd);
    (void)unlink(path);
    return true;
}

static void examine_cache(report *to)
{
    const char *own = variable_value("POCL_CACHE_DIR"), *all = variable_value("XDG_CACHE_HOME");
    const char *home = variable_value("HOME");
    char path[4096];
    if (own != NULL)
        (void)snprintf(path, sizeof path, "%s", own);
    else if (all != NULL)
        (void)snprintf(path, sizeof path, "%s/pocl", all);
    else
        (void)snprintf(path, sizeof path, "%s/.cache/pocl", home != NULL ? home : "/tmp");
    if (can_be_written(path))
        add_finding(to, FINDING_OK, "cache of PoCL", NULL, "%s can be written", path);
    else
        add_finding(to, FINDING_WRONG, "cache of PoCL", "POCL_CACHE_DIR=FOLDER, one that can be written",
                    "%s cannot be written: PoCL offers no device without it", path);
}

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

/* Rows of the digits 0 to 9, of which 4 to 8 are in the range. */
enum { KERNEL_ROWS = 1000, KERNEL_WIDTH = 10, IN_EACH_ROW = 5 };

static rowpool_status run_kernel(rowpool *pool, bool *right, rowpool_error *error)
{
    static int32_t data[KERNEL_ROWS * KERNEL_WIDTH];
    static uint32_t counts[KERNEL_ROWS];
    const rowpool_rows rows = {.data = data, .dtype = ROWPOOL_INT32, .count = KERNEL_ROWS, .width = KERNEL_WIDTH};
    for (size_t i = 0; i < KERNEL_ROWS * KERNEL_WIDTH; i++)
        data[i] = (int32_t)(i % KERNEL_WIDTH);
    memset(counts, 0, sizeof counts);
    rowpool_status status = rowpool_range_count(pool, &rows, NULL, 0, counts, error);
    *right = true;
    for (size_t row = 0; row < KERNEL_ROWS; row++)
        *right &= counts[row] == IN_EACH_ROW;
    return status;
}

/* Builds and runs a kernel in a helper process for the device. strict, so that no other device takes over. */
static void try_kernel(report *to, const rowpool_device *device)
{
    const rowpool_options options = {
        .size = sizeof options, .device = device->index, .strict = true, .isolate = ROWPOOL_ISOLATE_ALWAYS};
    rowpool *pool;
    rowpool_error error;
    char said[SAID];
    bool right = false;
    stderr_capture capture = begin_capture();
    rowpool_status status = rowpool_open(&pool, &options, &error);
    if (status == ROWPOOL_OK)
        status = run_kernel(pool, &right, &error);
    rowpool_close(pool);
    end_capture(&capture, said);
    if (status != ROWPOOL_OK)
        add_finding(to, FINDING_WRONG, "OpenCL device", remedy_for(error.message, said), "%s %s: %s%s", device->index,
                    device->name, error.message, said);
    else if (!right)
        add_finding(to, FINDING_WRONG, "OpenCL device", NULL, "%s %s: its counts are wrong", device->index,
                    device->name);
    else
        add_finding(to, FINDING_OK, "OpenCL device", NULL,
                    "%s %s, driver %s: built and ran a kernel, and counted correctly", device->index, device->name,
                    device->driver);
}

/* Why the device cannot be used; NULL: it can. */
static const char *skipped_reason(const rowpool_device *device)
{
    static const char skipped[] = "skipped: ";
    const bool usable = strncmp(device->reason, skipped, sizeof skipped - 1) != 0;
    return usable ? NULL : device->reason + sizeof skipped - 1;
}

/* has_drivers: some driver can be loaded, so a device is expected. */
static void examine_devices(report *to, const device_list *list, bool has_drivers)
{
    const char *no_helper = NULL;
    size_t usable = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].type == ROWPOOL_DEVICE_ISOLATED)
            no_helper = skipped_reason(&list->items[i]);
    if (no_helper != NULL)
        add_finding(to, FINDING_WRONG, "helper program",
                    "install rowpool with cmake --install, or set ROWPOOL_HELPER to its path", "%s", no_helper);
    for (size_t i = 0; i < list->count; i++) {
        const rowpool_device *device = &list->items[i];
        if (device->type > ROWPOOL_DEVICE_OTHER)
            continue;
        const char *why = skipped_reason(device);
        usable += why == NULL;
        if (why != NULL)
            add_finding(to, FINDING_NOTE, "OpenCL device", NULL, "%s %s is not used: %s", device->index,
                        device_label(device), why);
        else if (no_helper == NULL)
            try_kernel(to, device);
    }
    if (has_drivers && usable == 0)
        add_finding(to, FINDING_WRONG, "OpenCL device", "see the other findings; or " INSTALL_POCL,
                    "no driver offers a device that rowpool can use");
}

/* Reports the pool that a program gets, or that a variable is refused. */
static void examine_pool(report *to, const device_list *list, const rowpool_error *refusal)
{
    char used[256] = "";
    for (size_t i = 0, length = 0; i < list->count && list->items[i].in_use && length < sizeof used; i++)
        length += (size_t)snprintf(used + length, sizeof used - length, "%s%s", i > 0 ? ", " : "",
                                   list->items[i].index);
    if (refusal->status != ROWPOOL_OK)
        add_finding(to, FINDING_WRONG, "pool", refusal->status == ROWPOOL_EINVAL ? "rowpool environment" : NULL, "%s",
                    refusal->message);
    else
        add_finding(to, FINDING_OK, "pool", NULL, "opens on %s", used);
}

/* ---- GPUs ------------------------------------------------------------------------------------------------------- */

/* OpenCL has no device for a GPU whose files this user may not open. */
static void examine_gpus(report *to)
{
    glob_t nodes;
    if (glob("/dev/{dri/renderD*,kfd,nvidiactl,nvidia[0-9]*}", GLOB_BRACE, NULL, &nodes) != 0)
        return;
    for (size_t i = 0; i < nodes.gl_pathc; i++) {
        const char *path = nodes.gl_pathv[i];
        struct stat node;
        if (access(path, R_OK | W_OK) == 0)
            continue;
        const char *why = strerror(errno);
        const struct group *owner = stat(path, &node) == 0 ? getgrgid(node.st_gid) : NULL;
        char remedy[200];
        (void)snprintf(remedy, sizeof remedy, "usermod -a -G %s USER, and log in again",
                       owner != NULL ? owner->gr_name : "GROUP");
        add_finding(to, FINDING_WRONG, "GPU", remedy, "%s: %s", path, why);
    }
    globfree(&nodes);
}

/* ---- All of it -------------------------------------------------------------------------------------------------- */

void examine_opencl(report *to)
{
    size_t loaded = 0;
    device_list list;
    rowpool_error refusal, error;
    char said[SAID];
    (void)unsetenv("ROWPOOL_LOG"); /* its lines would be captured instead of the driver's */
    if (HAVE_OPENCL)
        loaded = examine_drivers(to);
    else
        add_finding(to, FINDING_NOTE, "OpenCL", "cmake -D ROWPOOL_OPENCL=ON, and build again",
                    "this rowpool was built without OpenCL: only worker processes are available");
    stderr_capture capture = begin_capture();
    rowpool_status status = find_devices(&list, NULL, &refusal, &error);
    end_capture(&capture, said);
    if (status != ROWPOOL_OK) {
        add_finding(to, FINDING_WRONG, "OpenCL device", remedy_for(error.message, said), "%s%s", error.message, said);
    } else {
        if (HAVE_OPENCL)
            examine_devices(to, &list, loaded > 0);
        examine_pool(to, &list, &refusal);
        free_devices(&list);
    }
    if (HAVE_OPENCL) {
        examine_gpus(to);
        examine_cache(to);
    }
}
