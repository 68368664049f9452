/* JSON output. */
#ifndef ROWPOOL_CLI_OUTPUT_JSON_H
#define ROWPOOL_CLI_OUTPUT_JSON_H

#include <jansson.h>

#include "devices.h"
#include "output.h"

/* These create values; NULL if out of memory, which jansson's functions accept. Text that is not UTF-8 is read as
 * Latin-1. */
json_t *text_as_json(const char *text);
json_t *ranges_as_json(const wanted_ranges *ranges);
json_t *device_as_json(const rowpool_device *device);

/* Prints the value to standard output and releases it. */
rowpool_status print_json(json_t *value, rowpool_error *error);

/* write_json writes the object table->facts with two more members, labels and results. nan and inf are null. */

#endif
