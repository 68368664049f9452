#include "base/settings.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "base/checked.h"

/* rowpool(3) has the same texts. */
static const struct {
    const char *name, *option, *meaning;
} variables[RP_SETTINGS] = {
    [RP_SETTING_DEVICE] =
        {"ROWPOOL_DEVICE", "device",
         "auto, cpu, gpu, accelerator, all, isolated, fork, host, P:D, or a comma-separated list of these"},
    [RP_SETTING_WORKERS] = {"ROWPOOL_WORKERS", "workers",
                            "worker processes; by default the CPUs that affinity and cgroup allow"},
    [RP_SETTING_CHUNK_BYTES] = {"ROWPOOL_CHUNK_BYTES", "chunk_bytes", "max bytes of data that a device gets at once"},
    [RP_SETTING_STRICT] = {"ROWPOOL_STRICT", "strict", "any value: a device that fails ends the map with its error"},
    [RP_SETTING_ISOLATE] =
        {"ROWPOOL_ISOLATE", "isolate",
         "never or always: whether OpenCL runs in a helper process instead of in this one. The default is never; the "
         "program rowpool always isolates"},
    [RP_SETTING_ISOLATED_DEVICE] = {"ROWPOOL_ISOLATED_DEVICE", "",
                                    "the OpenCL devices of the device isolated: auto, gpu, P:D ..."},
    [RP_SETTING_HELPER] = {"ROWPOOL_HELPER", "",
                           "the path of the helper program, where it is neither installed nor beside the library"},
    [RP_SETTING_TRACE] =
        {"ROWPOOL_TRACE", "",
         "a file for a timeline of devices and processes, in the Chrome trace format (opens in Perfetto)"},
    [RP_SETTING_CPU] = {"ROWPOOL_CPU", "",
                        "baseline, avx2 or avx512: the form of the built-in functions that the calling thread and "
                        "worker processes run, and the widest vectors of counts on a CPU's OpenCL device; by default "
                        "the widest that the CPU has"},
    [RP_SETTING_LOG] = {"ROWPOOL_LOG", "",
                        "lines on standard error: device, build, run, worker, or all; help lists them"},
    [RP_SETTING_TEST] =
        {"ROWPOOL_TEST", "",
         "for tests and benchmarks, a comma-separated list of: copy (copy data to OpenCL devices that could work in "
         "the host's memory), build-wait (maps wait for kernels that are worth building) and mpi-piece-bytes=N "
         "(max bytes that are sent or written at once over MPI)"},
    [RP_SETTING_POCL_CACHE_DIR] = {"POCL_CACHE_DIR", "",
                                   "PoCL's: the folder for kernels that it has compiled; its disk needs free space"},
    [RP_SETTING_XDG_CACHE_HOME] = {"XDG_CACHE_HOME", "",
                                   "where POCL_CACHE_DIR is not set, PoCL uses the folder pocl in this one"},
    [RP_SETTING_HOME] = {"HOME", "", "where neither is set, PoCL uses the folder .cache/pocl in this one"},
    [RP_SETTING_OCL_ICD_VENDORS] =
        {"OCL_ICD_VENDORS", "",
         "the OpenCL loader's: a folder of .icd files that name drivers, or one such file; rowpool doctor looks there"},
};

bool rp_environment_is_trusted(void)
{
    return getauxval(AT_SECURE) == 0;
}

const char *rp_setting_name(rp_setting setting)
{
    return variables[setting].name;
}

const char *rp_setting_text(rp_setting setting)
{
    const char *text = secure_getenv(variables[setting].name); /* they name files and programs */
    return text != NULL && *text != '\0' ? text : NULL;
}

const char *rp_setting_option(rp_setting setting)
{
    return variables[setting].option;
}

const char *rp_setting_meaning(rp_setting setting)
{
    return variables[setting].meaning;
}

/* The text up to `stop` as a whole number in [1, max]. */
static bool read_whole_number(const char *text, const char *stop, size_t max, size_t *value)
{
    char *end = NULL;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || end != stop || errno != 0 || number < 1 || number > max)
        return false;
    *value = (size_t)number;
    return true;
}

rowpool_status rp_setting_size(rp_setting setting, size_t max, size_t *value, rowpool_error *error)
{
    const char *text = rp_setting_text(setting);
    if (text == NULL || read_whole_number(text, text + strlen(text), max, value))
        return ROWPOOL_OK;
    return rp_fail(error, ROWPOOL_EINVAL, "%s is '%s'; it must be a whole number from 1 to %zu",
                   rp_setting_name(setting), text, max);
}

bool rp_word_next(const char **list, rp_word *word)
{
    if (*list == NULL)
        return false;
    *word = (rp_word){*list, strcspn(*list, ",")};
    *list = word->text[word->length] == ',' ? word->text + word->length + 1 : NULL;
    return true;
}

bool rp_word_is(const rp_word *word, const char *text)
{
    return strlen(text) == word->length && memcmp(text, word->text, word->length) == 0;
}

rowpool_status rp_setting_test(rp_test_setting *test, rowpool_error *error)
{
    static const char bytes[] = "mpi-piece-bytes=";
    const size_t before = sizeof bytes - 1;
    *test = (rp_test_setting){.mpi_piece_bytes = (size_t)1 << 30};
    const char *list = rp_setting_text(RP_SETTING_TEST);
    for (rp_word word; rp_word_next(&list, &word);) {
        if (rp_word_is(&word, "copy"))
            test->copy = true;
        else if (rp_word_is(&word, "build-wait"))
            test->build_wait = true;
        else if (word.length <= before || memcmp(word.text, bytes, before) != 0 ||
                 !read_whole_number(word.text + before, word.text + word.length, INT_MAX, &test->mpi_piece_bytes))
            return rp_fail(error, ROWPOOL_EINVAL,
                           "%s has the word '%.*s'; it takes copy, build-wait and mpi-piece-bytes=N, N from 1 to %d",
                           rp_setting_name(RP_SETTING_TEST), (int)rp_min(word.length, 100), word.text, INT_MAX);
    }
    return ROWPOOL_OK;
}
