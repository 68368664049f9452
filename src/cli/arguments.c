#include "arguments.h"

#include <string.h>

#include "message.h"
#include "number.h"
#include "options.h"

/* Reads TYPE; returns VALUE. float16 is refused: not every OpenCL compiler has half. */
static const char *read_type(rowpool_dtype *dtype, const char *text)
{
    const char *colon = strchr(text, ':');
    if (colon == NULL) {
        (void)usage_error("map", "--argument '%s' is not TYPE:VALUE", text);
        return NULL;
    }
    if (find_dtype_name(dtype, text, (size_t)(colon - text)) && *dtype != ROWPOOL_FLOAT16)
        return colon + 1;
    (void)usage_error("map", "--argument '%s': its type is not one of int8 to int64, uint8 to uint64, float32, float64",
                      text);
    return NULL;
}

static size_t round_up(size_t size, size_t alignment)
{
    return (size + alignment - 1) / alignment * alignment;
}

bool add_argument(argument_struct *arguments, const char *text)
{
    rowpool_dtype dtype;
    const char *value = read_type(&dtype, text);
    if (value == NULL)
        return false;
    const size_t size = rowpool_dtype_size(dtype); /* also its alignment */
    const size_t offset = round_up(arguments->used, size);
    if (offset + size > MAX_ARGUMENT_BYTES) {
        (void)usage_error("map", "--argument '%s' does not fit: all of them together have at most %d bytes", text,
                          MAX_ARGUMENT_BYTES);
        return false;
    }
    parse_outcome outcome = parse_element(arguments->bytes + offset, dtype, value);
    if (outcome != PARSED) {
        (void)usage_error("map", "--argument '%s': '%s' is %s %s", text, value,
                          outcome == PARSED_BEYOND ? "beyond" : "not", rowpool_dtype_name(dtype));
        return false;
    }
    arguments->used = offset + size;
    arguments->alignment = size > arguments->alignment ? size : arguments->alignment;
    arguments->size = round_up(arguments->used, arguments->alignment);
    return true;
}
