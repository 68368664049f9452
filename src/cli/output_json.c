#include "output_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "number.h"

/* ---- Values ----------------------------------------------------------------------------------------------------- */

static json_t *latin_as_json(const char *text)
{
    char *utf8 = malloc(2 * strlen(text) + 1);
    if (utf8 == NULL)
        return NULL;
    char *to = utf8;
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        if (*at >= 0x80)
            *to++ = (char)(0xc0 | *at >> 6);
        *to++ = (char)(*at >= 0x80 ? 0x80 | (*at & 0x3f) : *at);
    }
    *to = '\0';
    json_t *value = json_string(utf8);
    free(utf8);
    return value;
}

json_t *text_as_json(const char *text)
{
    json_t *value = json_string(text);
    return value != NULL ? value : latin_as_json(text);
}

/* A string if JSON or jansson cannot express the number. */
static json_t *number_as_json(const rowpool_number *number)
{
    if (number->kind == ROWPOOL_NUMBER_I64)
        return json_integer(number->value.i64);
    if (number->kind == ROWPOOL_NUMBER_F64 && isfinite(number->value.f64))
        return json_real(number->value.f64);
    char text[NUMBER_TEXT];
    number_format(text, number);
    return json_string(text);
}

json_t *ranges_as_json(const wanted_ranges *ranges)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ranges->count; i++) {
        const rowpool_range *range = &ranges->items[i];
        (void)json_array_append_new(list, json_pack("{s:o, s:o, s:s}", "min", number_as_json(&range->lo), "max",
                                                    number_as_json(&range->hi), "closed", closed_word(range->closed)));
    }
    return list;
}

json_t *device_as_json(const rowpool_device *device)
{
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:b, s:o, s:I, s:I, s:I, s:b, s:b, s:b, s:I, s:I}", /* in this order */
                     "index", text_as_json(device->index), "type", device_type_word(device->type), "name",
                     text_as_json(device_label(device)), "platform", text_as_json(device->platform), "driver",
                     text_as_json(device->driver), "in_use", device->in_use, "reason", text_as_json(device->reason),
                     "units", (json_int_t)device->units, "memory", (json_int_t)device->memory, "largest_buffer",
                     (json_int_t)device->largest_buffer, "fp64", device->fp64, "fp16", device->fp16, "shared_memory",
                     device->shared_memory, "rows", (json_int_t)device->rows, "chunks", (json_int_t)device->chunks);
}

rowpool_status print_json(json_t *value, rowpool_error *error)
{
    char *text = value != NULL ? json_dumps(value, JSON_INDENT(2)) : NULL;
    json_decref(value);
    if (text == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    rowpool_status status = print_string(text, error);
    if (status == ROWPOOL_OK)
        status = print_string("\n", error);
    free(text);
    return status;
}

/* ---- Results ---------------------------------------------------------------------------------------------------- */

static void put_json(writer *to, const json_t *value, size_t flags)
{
    char *text = value != NULL ? json_dumps(value, flags | JSON_ENCODE_ANY) : NULL;
    if (text == NULL)
        to->status = rp_fail(to->error, ROWPOOL_ENOMEM, "out of memory");
    else
        put_text(to, text);
    free(text);
}

static void put_labels(writer *to, const buffer *labels, size_t rows)
{
    const char *label = labels->bytes;
    put_text(to, ",\n\"labels\": [");
    for (size_t row = 0; row < rows && to->status == ROWPOOL_OK; row++, label = next_text(label)) {
        json_t *value = text_as_json(label);
        put_text(to, row > 0 ? ",\n" : "\n");
        put_json(to, value, 0);
        json_decref(value);
    }
    put_text(to, "]");
}

static void put_json_head(writer *to, const table_format *format, const result_table *table, size_t rows)
{
    (void)format;
    put_text(to, "{");
    put_json(to, table->facts, JSON_EMBED);
    if (table->in->labels.count > 0)
        put_labels(to, &table->in->labels, rows);
    put_text(to, ",\n\"results\": [");
}

static bool is_json_number(const row_results *results, size_t i)
{
    const rowpool_dtype dtype = results->dtype;
    return dtype < ROWPOOL_FLOAT16 ||
           isfinite(float_value((const char *)results->values + i * rowpool_dtype_size(dtype), dtype));
}

/* A number for each row, or a list where there are several ranges. */
static void put_json_row(writer *to, const table_format *format, const result_table *table, size_t row,
                         const char *label)
{
    const size_t columns = table->results->columns;
    const bool list = ranges_are_listed(table->ranges);
    (void)format;
    (void)label;
    put_text(to, table->first + row > 0 ? ",\n" : "\n");
    put_text(to, list ? "[" : "");
    for (size_t i = row * columns; i < (row + 1) * columns; i++) {
        put_text(to, i > row * columns ? ", " : "");
        if (is_json_number(table->results, i))
            put_result(to, table->results, i);
        else
            put_text(to, "null");
    }
    put_text(to, list ? "]" : "");
}

rowpool_status write_json(int fd, const result_table *table, size_t rows, rowpool_error *error)
{
    static const table_format json = {put_json_head, put_json_row, "]}\n", '\0'};
    return write_rows(&json, fd, table, rows, error);
}
