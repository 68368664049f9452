#include "process/reach.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/descriptor.h"
#include "base/lock.h"
#include "process/memory.h"

/* ---- /proc/self/maps: BEGIN-END PERMISSIONS OFFSET MAJOR:MINOR INODE   PATH ------------------------------------- */

typedef struct {
    uint64_t begin, end, offset, device, inode;
    bool shared; /* readable, and of a file that has a path */
    const char *path;
} mapping;

/* Parses a number, and skips the character after it. */
static uint64_t take_number(char **text, int base)
{
    uint64_t value = strtoull(*text, text, base);
    *text += **text != '\0';
    return value;
}

static mapping parse_mapping(char *line)
{
    static const char deleted[] = " (deleted)";
    mapping map = {0};
    line[strcspn(line, "\n")] = '\0';
    map.begin = take_number(&line, 16);
    map.end = take_number(&line, 16);
    const char *permissions = line;
    line += strcspn(line, " ");
    line += *line != '\0';
    map.offset = take_number(&line, 16);
    unsigned major_number = (unsigned)take_number(&line, 16);
    unsigned minor_number = (unsigned)take_number(&line, 16);
    map.device = makedev(major_number, minor_number);
    map.inode = take_number(&line, 10);
    map.path = line + strspn(line, " ");
    size_t length = strlen(map.path), tail = sizeof deleted - 1;
    map.shared = permissions[0] == 'r' && permissions[3] == 's' && map.path[0] == '/' && map.inode != 0 &&
                 !(length >= tail && strcmp(map.path + length - tail, deleted) == 0);
    return map;
}

/* ---- Whether one file holds the whole range --------------------------------------------------------------------- */

/* Takes the next mapping of the range. *covered: the address up to which one file is known to hold the range. False: no
 * single file holds it. */
static bool extend(rp_reach *reach, const mapping *map, uint64_t *covered)
{
    rp_place *place = &reach->place;
    if (!map->shared || map->begin > *covered)
        return false;
    uint64_t offset = map->offset + (*covered - map->begin); /* the file offset of the address `covered` */
    if (*covered == place->address) {
        place->device = map->device;
        place->inode = map->inode;
        place->offset = offset;
        reach->path = strdup(map->path);
        if (reach->path == NULL)
            return false;
    } else if (map->device != place->device || map->inode != place->inode ||
               offset != place->offset + (*covered - place->address)) {
        return false;
    }
    *covered = map->end;
    return true;
}

static bool find_mapped_file(rp_reach *reach)
{
    rp_assert_no_lock("/proc/self/maps is read");
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        return false;
    uint64_t covered = reach->place.address, end = covered + reach->place.bytes;
    char *line = NULL;
    size_t capacity = 0;
    bool one_file = true;
    while (one_file && covered < end && getline(&line, &capacity, maps) > 0) {
        mapping map = parse_mapping(line);
        if (map.end > covered)
            one_file = extend(reach, &map, &covered);
    }
    free(line);
    fclose(maps);
    return one_file && covered >= end;
}

void rp_reach_find(const void *address, size_t bytes, bool files, rp_reach *reach)
{
    rp_place *place = &reach->place;
    rp_region region;
    size_t offset;
    *reach = (rp_reach){.place = {.address = (uintptr_t)address, .bytes = bytes}, .fd = -1};
    if (bytes > 0 && rp_region_find(address, bytes, &region, &offset)) {
        place->kind = RP_REACH_REGION;
        place->offset = offset;
        place->id = region.id;
        place->length = region.length;
        reach->fd = region.fd;
    } else if (bytes > 0 && files && find_mapped_file(reach)) {
        place->kind = RP_REACH_FILE;
    } else {
        rp_reach_release(reach); /* the path of a file that holds only a part */
    }
}

void rp_reach_release(rp_reach *reach)
{
    rp_descriptor_close(reach->fd);
    free(reach->path);
    reach->fd = -1;
    reach->path = NULL;
}
