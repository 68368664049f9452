#include "findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "message.h"

void add_finding(finding_list *list, const finding *one)
{
    if (list->count == list->capacity) {
        size_t capacity = 2 * list->capacity + 16;
        finding *items = realloc(list->items, capacity * sizeof *items);
        list->cut |= items == NULL;
        if (items == NULL)
            return;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *one;
}

void find(finding_list *list, finding_kind kind, const char *subject, const char *remedy, const char *format, ...)
{
    finding one = {.kind = kind};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(one.text, sizeof one.text, format, arguments);
    va_end(arguments);
    (void)snprintf(one.subject, sizeof one.subject, "%s", subject);
    (void)snprintf(one.remedy, sizeof one.remedy, "%s", remedy != NULL ? remedy : "");
    keep_to_one_line(one.text);
    keep_to_one_line(one.remedy);
    add_finding(list, &one);
}

const char *finding_word(finding_kind kind)
{
    static const char *const words[] = {[FINDING_OK] = "ok", [FINDING_NOTE] = "note", [FINDING_WRONG] = "wrong"};
    return words[kind];
}

size_t count_findings(const finding_list *list, finding_kind kind)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++)
        count += list->items[i].kind == kind;
    return count;
}

void free_findings(finding_list *list)
{
    free(list->items);
    *list = (finding_list){0};
}
