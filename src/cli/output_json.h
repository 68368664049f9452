/* What --json prints: one object, on standard output. */
#ifndef ROWPOOL_CLI_OUTPUT_JSON_H
#define ROWPOOL_CLI_OUTPUT_JSON_H

#include <jansson.h>

#include "devices.h"
#include "output.h"

/* Values, NULL where memory is out; jansson's functions that take a new value take that as well. Text that is no UTF-8
 * is read as Latin-1. */
json_t *text_as_json(const char *text);
json_t *ranges_as_json(const wanted_ranges *ranges);
json_t *device_as_json(const rowpool_device *device);

/* Prints it, alone on standard output, and gives it back. */
rowpool_status print_json(json_t *value, rowpool_error *error);

/* write_json writes the table's facts, an object, with the labels and results of the first `rows` rows as its last
 * members. Numbers that JSON does not have (nan, inf) are null. */

#endif
