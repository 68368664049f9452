#include "page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/replace.h"
#include "python.h"

struct bench_page {
    const char *kind, *path, *python;
    char script[1024];
    replacement file;
};

/* The oldest matplotlib that has what page.py asks for: 3.6. */
static const char imports[] = "import matplotlib; matplotlib.rcParams['text.parse_math']";

static bool find_tools(bench_page *page)
{
    if (!bench_python_script("page.py", page->script, sizeof page->script))
        bench_complain("--%s: %s: %s; install rowpool, or build it again", page->kind, page->script, strerror(errno));
    else if (!(page->python = bench_python_with(imports)))
        bench_complain("--%s needs Python with matplotlib from 3.6 on: apt-get install python3-matplotlib", page->kind);
    return page->python;
}

static bool open_file(bench_page *page)
{
    rowpool_error error;

    if (replace_begin(&page->file, page->path, &error) == ROWPOOL_OK)
        return true;
    bench_complain("--%s: %s: %s", page->kind, page->path, error.message);
    return false;
}

bench_page *bench_page_begin(const char *kind, const char *path)
{
    bench_page *page = calloc(1, sizeof *page);

    if (!page) {
        bench_complain("no memory for the %s", kind);
        return NULL;
    }
    *page = (bench_page){.kind = kind, .path = path, .file.fd = -1};
    if (find_tools(page) && open_file(page))
        return page;
    bench_page_end(page);
    return NULL;
}

/* json: at its beginning; name: what errors call it. The script has said itself what it refuses. */
static bool draw(bench_page *page, int json, const char *name)
{
    char *argv[] = {strdup(page->python), page->script, strdup(page->kind), strdup(name), NULL};
    bool good = argv[0] && argv[2] && argv[3];
    rowpool_error error = {.message = "no memory for its arguments"};
    pid_t child;

    if (good) {
        const int code = bench_process_start(&child, argv, json, page->file.fd, false);

        good = code == 0 && bench_process_status(child) == 0;
        (void)snprintf(error.message, sizeof error.message, "%s %s", argv[0], code ? strerror(code) : "has failed");
    }
    good = good && replace_commit(&page->file, &error) == ROWPOOL_OK;
    if (!good)
        bench_complain("%s is not written: %s", page->path, error.message);
    free(argv[0]);
    free(argv[2]);
    free(argv[3]);
    return good;
}

bool bench_page_of_record(bench_page *page, const json_t *record)
{
    FILE *json = tmpfile();
    bool good = json && bench_record_write(record, json) && fseek(json, 0, SEEK_SET) == 0;

    if (good)
        good = draw(page, fileno(json), "the results");
    else
        bench_complain("%s is not written: no temporary file for the results: %s", page->path, strerror(errno));
    if (json)
        fclose(json);
    return good;
}

/* -1, with errno set, where it is nothing to be read. */
static int open_record(const char *path)
{
    const int json = open(path, O_RDONLY | O_CLOEXEC);
    struct stat about;

    if (json >= 0 && fstat(json, &about) == 0 && !S_ISDIR(about.st_mode))
        return json;
    if (json >= 0) {
        close(json);
        errno = EISDIR;
    }
    return -1;
}

bool bench_page_of_file(bench_page *page, const char *path)
{
    const int json = open_record(path);
    bool good;

    if (json < 0) {
        bench_complain("--from: %s: %s", path, strerror(errno));
        return false;
    }
    good = draw(page, json, path);
    close(json);
    return good;
}

void bench_page_end(bench_page *page)
{
    if (page)
        replace_discard(&page->file);
    free(page);
}
