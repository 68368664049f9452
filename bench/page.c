#include "page.h"

#include <stdlib.h>

#include "files/replace.h"
#include "process.h"

struct bench_page {
    const char *kind, *path;
    bench_script script;
    replacement file;
};

bench_page *bench_page_begin(const char *kind, const char *path)
{
    /* The oldest matplotlib that has what page.py asks for: 3.6. */
    static const char imports[] = "import matplotlib; matplotlib.rcParams['text.parse_math']";
    bench_page *page = calloc(1, sizeof *page);
    rowpool_error error;
    rowpool_status status;

    if (page == NULL) {
        bench_complain("no memory for the %s", kind);
        return NULL;
    }
    *page = (bench_page){.kind = kind, .path = path, .file.fd = -1};
    status = bench_script_find(&page->script, "page.py", imports, &error);
    if (status == ROWPOOL_ENODEVICE)
        bench_complain("--%s needs Python with matplotlib from 3.6 on: apt-get install python3-matplotlib", kind);
    else if (status != ROWPOOL_OK)
        bench_complain("--%s: %s", kind, error.message);
    else if (replace_begin(&page->file, path, &error) != ROWPOOL_OK)
        bench_complain("--%s: %s: %s", kind, path, error.message);
    else
        return page;
    bench_page_end(page);
    return NULL;
}

bool bench_page_draw(bench_page *page, FILE *record, const char *path)
{
    const char *const arguments[] = {page->kind, path, NULL};
    rowpool_error error;
    int code = 0;
    rowpool_status status = bench_script_run(&page->script, arguments, record != NULL ? fileno(record) : -1,
                                             page->file.fd, &code, &error);

    /* The script has said itself what it refuses. */
    if (status == ROWPOOL_OK && code != 0)
        status = bench_fail(&error, ROWPOOL_EINVAL, "%s has failed", page->script.python);
    if (status == ROWPOOL_OK)
        status = replace_commit(&page->file, &error);
    if (status != ROWPOOL_OK)
        bench_complain("%s is not written: %s", page->path, error.message);
    return status == ROWPOOL_OK;
}

void bench_page_end(bench_page *page)
{
    if (page != NULL)
        replace_discard(&page->file);
    free(page);
}
