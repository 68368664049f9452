/* Settings from the environment: the one place that reads it. */
#ifndef RP_BASE_SETTINGS_H
#define RP_BASE_SETTINGS_H

#include "base/error.h"

/* Each has a row in settings.c and an entry in rowpool(3), in this order; the test environment checks both. */
typedef enum {
    RP_SETTING_DEVICE,
    RP_SETTING_WORKERS,
    RP_SETTING_CHUNK_BYTES,
    RP_SETTING_STRICT,
    RP_SETTING_ISOLATE,
    RP_SETTING_ISOLATED_DEVICE,
    RP_SETTING_HELPER,
    RP_SETTING_TRACE,
    RP_SETTING_CPU,
    RP_SETTING_LOG,
    RP_SETTING_TEST,
    RP_SETTING_POCL_CACHE_DIR, /* PoCL's cache folder; where it is not set, the next two */
    RP_SETTING_XDG_CACHE_HOME,
    RP_SETTING_HOME,
    RP_SETTING_OCL_ICD_VENDORS,
    RP_SETTINGS
} rp_setting;

/* Whether the environment may say what this program loads. False in a setuid program: no variable has a value then, but
 * OpenCL's loader and drivers read theirs all the same. */
bool rp_environment_is_trusted(void);

/* The variable's name, "ROWPOOL_DEVICE". */
const char *rp_setting_name(rp_setting setting);
/* The option of rowpool_options that it stands in for, or "". */
const char *rp_setting_option(rp_setting setting);
/* One sentence for `rowpool environment`. */
const char *rp_setting_meaning(rp_setting setting);

/* Its value; NULL when it is unset or empty. */
const char *rp_setting_text(rp_setting setting);

/* Its value as a whole number in [1, max]; *value is left alone when it is unset or empty. */
rowpool_status rp_setting_size(rp_setting setting, size_t max, size_t *value, rowpool_error *error);

/* A word of a comma-separated list. */
typedef struct {
    const char *text;
    size_t length;
} rp_word;

/* Takes the next word off a list; false: *list is NULL, since none is left. A list has one word more than commas. */
bool rp_word_next(const char **list, rp_word *word);
bool rp_word_is(const rp_word *word, const char *text);

/* The words of ROWPOOL_TEST. */
typedef struct {
    bool copy;              /* OpenCL devices get copies, whatever memory they could share */
    bool build_wait;        /* maps wait for kernels that are worth building */
    size_t mpi_piece_bytes; /* max bytes sent or written at once over MPI; 2^30 by default */
} rp_test_setting;

/* EINVAL: a word is unknown; *test then has the words before it. */
rowpool_status rp_setting_test(rp_test_setting *test, rowpool_error *error);

#endif
