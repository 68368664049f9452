/* Where control groups say what this process may use. */
#include <stdio.h>
#include <string.h>

#include "pool/pool.h"

enum { PATH_LENGTH = 4096 };

/* From a process's own group up to the first: what any of them is denied, the process is. A container may see its own
 * group as the first, and the others not at all. */
static void climb(const char *hierarchy, char *path, rp_cgroup_visit *visit, void *context)
{
    char folder[RP_CGROUP_FOLDER];
    if (strcmp(path, "/") == 0)
        path[0] = '\0';
    for (char *slash = path; slash != NULL;) {
        bool unified = hierarchy[0] == '\0';
        snprintf(folder, sizeof folder, "/sys/fs/cgroup%s%s%s", unified ? "" : "/", hierarchy, path);
        visit(folder, unified, context);
        slash = strrchr(path, '/');
        if (slash != NULL)
            *slash = '\0';
    }
}

static bool is_among(const char *name, const char *list)
{
    size_t length = strlen(name);
    for (; list != NULL; list = strchr(list, ',')) {
        list += list[0] == ',';
        if (strncmp(list, name, length) == 0 && (list[length] == ',' || list[length] == '\0'))
            return true;
    }
    return false;
}

void rp_cgroup_each(const char *controller, rp_cgroup_visit *visit, void *context)
{
    char line[PATH_LENGTH];
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) { /* number:controllers:path */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':'), *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL)
            continue;
        *path++ = '\0';
        controllers++;
        if (controllers[0] == '\0') /* version 2: one hierarchy for all */
            climb("", path, visit, context);
        else if (is_among(controller, controllers))
            climb(controller, path, visit, context);
    }
    fclose(file);
}
