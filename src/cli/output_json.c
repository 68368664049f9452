#include "output_json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "number.h"

/* ---- Values ----------------------------------------------------------------------------------------------------- */

/* Each byte is the character of that number. */
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

/* As text where JSON or jansson has no such number. */
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
        json_t *item = json_object();
        (void)json_object_set_new(item, "min", number_as_json(&range->lo));
        (void)json_object_set_new(item, "max", number_as_json(&range->hi));
        (void)json_object_set_new(item, "closed", json_string(closed_word(range->closed)));
        (void)json_array_append_new(list, item);
    }
    return list;
}

json_t *device_as_json(const rowpool_device *device)
{
    json_t *value = json_object();
    (void)json_object_set_new(value, "index", text_as_json(device->index));
    (void)json_object_set_new(value, "type", json_string(device_type_word(device->type)));
    (void)json_object_set_new(value, "name", text_as_json(device_label(device)));
    (void)json_object_set_new(value, "platform", text_as_json(device->platform));
    (void)json_object_set_new(value, "driver", text_as_json(device->driver));
    (void)json_object_set_new(value, "in_use", json_boolean(device->in_use));
    (void)json_object_set_new(value, "reason", text_as_json(device->reason));
    (void)json_object_set_new(value, "units", json_integer(device->units));
    (void)json_object_set_new(value, "memory", json_integer((json_int_t)device->memory));
    (void)json_object_set_new(value, "largest_buffer", json_integer((json_int_t)device->largest_buffer));
    (void)json_object_set_new(value, "fp64", json_boolean(device->fp64));
    (void)json_object_set_new(value, "fp16", json_boolean(device->fp16));
    (void)json_object_set_new(value, "shared_memory", json_boolean(device->shared_memory));
    (void)json_object_set_new(value, "rows", json_integer((json_int_t)device->rows));
    (void)json_object_set_new(value, "chunks", json_integer((json_int_t)device->chunks));
    return value;
}

rowpool_status print_json(json_t *value, rowpool_error *error)
{
    char *text = value != NULL ? json_dumps(value, JSON_INDENT(2)) : NULL;
    json_decref(value);
    if (text == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory");
    rowpool_status status = print_text(text, error);
    if (status == ROWPOOL_OK)
        status = print_text("\n", error);
    free(text);
    return status;
}

/* ---- Results ---------------------------------------------------------------------------------------------------- */

static bool put_json(writer *to, const json_t *value, size_t flags)
{
    char *text = value != NULL ? json_dumps(value, flags | JSON_ENCODE_ANY) : NULL;
    if (text == NULL) {
        to->status = rp_fail(to->error, ROWPOOL_ENOMEM, "out of memory");
        return false;
    }
    put_text(to, text);
    free(text);
    return true;
}

static void put_labels(writer *to, const buffer *labels, size_t rows)
{
    const char *label = labels->bytes;
    put_text(to, ",\n\"labels\": [");
    for (size_t row = 0; row < rows && to->status == ROWPOOL_OK; row++, label = next_text(label)) {
        json_t *value = text_as_json(label);
        put_text(to, row > 0 ? ",\n" : "\n");
        (void)put_json(to, value, 0);
        json_decref(value);
    }
    put_text(to, "]");
}

static bool has_number(const row_results *results, size_t i)
{
    switch (results->dtype) {
    case ROWPOOL_FLOAT16:
        return isfinite(half_value(((const uint16_t *)results->values)[i]));
    case ROWPOOL_FLOAT32:
        return isfinite(((const float *)results->values)[i]);
    case ROWPOOL_FLOAT64:
        return isfinite(((const double *)results->values)[i]);
    default:
        return true;
    }
}

static void put_value(writer *to, const row_results *results, size_t i)
{
    if (has_number(results, i))
        put_result(to, results, i);
    else
        put_text(to, "null");
}

/* A number for each row, or a list where there are several ranges. */
static void put_row(writer *to, const result_table *table, size_t row)
{
    const size_t columns = table->results->columns;
    const bool list = ranges_are_listed(table->ranges);
    if (list)
        put_char(to, '[');
    for (size_t i = 0; i < columns; i++) {
        if (i > 0)
            put_text(to, ", ");
        put_value(to, table->results, row * columns + i);
    }
    if (list)
        put_char(to, ']');
}

rowpool_status write_json(int fd, const result_table *table, size_t rows, rowpool_error *error)
{
    const size_t count = rows_among(table, rows);
    writer to;
    begin_writing(&to, fd, error);
    if (table->begins) {
        put_text(&to, "{");
        (void)put_json(&to, table->facts, JSON_EMBED);
        if (table->in->labels.count > 0)
            put_labels(&to, &table->in->labels, rows);
        put_text(&to, ",\n\"results\": [");
    }
    for (size_t row = 0; row < count && to.status == ROWPOOL_OK; row++) {
        put_text(&to, table->first + row > 0 ? ",\n" : "\n");
        put_row(&to, table, row);
    }
    if (table->ends)
        put_text(&to, "]}\n");
    return end_writing(&to);
}
