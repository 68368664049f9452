#include "process/reach.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "process/memory.h"

/* ---- /proc/self/maps: BEGIN-END PERMISSIONS OFFSET MAJOR:MINOR INODE   PATH ------------------------------------- */

typedef struct {
    uint64_t begin, end, offset, device, inode;
    bool shared; /* readable, and of a file that has a path */
    char *path;
} mapping;

static uint64_t number(char **text, int base)
{
    uint64_t value = strtoull(*text, text, base);
    *text += **text != '\0'; /* the character that ends it */
    return value;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static mapping parse(char *line)
{
    mapping map = {0};
    line[strcspn(line, "\n")] = '\0';
    map.begin = number(&line, 16);
    map.end = number(&line, 16);
    const char *permissions = line;
    line += strcspn(line, " ");
    line += *line != '\0';
    map.offset = number(&line, 16);
    unsigned major_number = (unsigned)number(&line, 16);
    unsigned minor_number = (unsigned)number(&line, 16);
    map.device = makedev(major_number, minor_number);
    map.inode = number(&line, 10);
    map.path = line + strspn(line, " ");
    map.shared = permissions[0] == 'r' && permissions[3] == 's' && map.path[0] == '/' && map.inode != 0 &&
                 !ends_with(map.path, " (deleted)");
    return map;
}

/* ---- Whether one file holds the whole range --------------------------------------------------------------------- */

static bool goes_on(const rp_reach *reach, const mapping *map, uint64_t offset)
{
    return map->device == reach->device && map->inode == reach->inode && offset == reach->offset;
}

/* Takes the next mapping that lies in the range; *covered is the address up to which the file is known to hold it.
 * False when the range is not one file's after all. */
static bool extend(rp_reach *reach, const mapping *map, uint64_t *covered)
{
    if (!map->shared || map->begin > *covered)
        return false;
    uint64_t offset = map->offset + (*covered - map->begin); /* in the file, of the address `covered` */
    if (*covered == reach->address) {
        reach->device = map->device;
        reach->inode = map->inode;
        reach->offset = offset;
        reach->path = strdup(map->path);
        if (reach->path == NULL)
            return false;
    } else if (!goes_on(reach, map, offset - (*covered - reach->address))) {
        return false;
    }
    *covered = map->end;
    return true;
}

static bool find_file(rp_reach *reach)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        return false;
    uint64_t covered = reach->address, end = reach->address + reach->bytes;
    char *line = NULL;
    size_t capacity = 0;
    bool one_file = true;
    while (one_file && covered < end && getline(&line, &capacity, maps) > 0) {
        mapping map = parse(line);
        if (map.end > covered)
            one_file = extend(reach, &map, &covered);
    }
    free(line);
    fclose(maps);
    return one_file && covered >= end;
}

/* -------------------------------------------------------------------------------------------------------------- */

static bool find_region(rp_reach *reach, const void *address)
{
    rp_region region;
    size_t offset;
    if (!rp_region_find(address, reach->bytes, &region, &offset))
        return false;
    reach->offset = offset;
    reach->id = region.id;
    reach->length = region.length;
    reach->fd = region.fd;
    return true;
}

void rp_reach_find(const void *address, size_t bytes, bool files, rp_reach *reach)
{
    *reach = (rp_reach){.kind = RP_REACH_COPY, .address = (uintptr_t)address, .bytes = bytes, .fd = -1};
    if (bytes == 0)
        return;
    if (find_region(reach, address)) {
        reach->kind = RP_REACH_REGION;
    } else if (files && find_file(reach)) {
        reach->kind = RP_REACH_FILE;
    } else {
        free(reach->path);
        reach->path = NULL;
    }
}

void rp_reach_release(rp_reach *reach)
{
    if (reach->fd >= 0)
        close(reach->fd);
    free(reach->path);
    reach->fd = -1;
    reach->path = NULL;
}
