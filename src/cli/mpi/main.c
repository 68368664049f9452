/* The program rowpool-mpi: rowpool's maps of files, by all ranks of an MPI job. */
#include <mpi.h>
#include <stddef.h>

#include "command.h"
#include "count.h"
#include "map.h"
#include "message.h"
#include "output.h"
#include "together.h"

static const program_command COMMANDS[] = {{"count", run_count}, {"map", run_map}, {NULL, NULL}};

static const char HELP[] =
    "Usage: mpirun -n N rowpool-mpi COMMAND [OPTION...]\n"
    "\n"
    "Maps a function over the rows of an array, divided among the ranks of an MPI job.\n"
    "\n"
    "  count FILE      count the elements of each row that lie in a range, or in several\n"
    "  map FILE        map a built-in function, or one of your own, over the rows: sum, mean, max ...\n"
    "\n"
    "  --help          show this text; rowpool-mpi COMMAND --help tells more\n"
    "  --version       show the version\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 the command line is wrong.\n";

static const program ROWPOOL_MPI = {
    .name = "rowpool-mpi",
    .start = "mpirun -n N rowpool-mpi",
    .help = HELP,
    .file_help =
        "\nEach rank opens FILE, which is not standard input, and maps its own part of the rows on devices of\n"
        "its own. --output is in a folder that every rank reaches. Rank 0 prints; --progress is its own.\n",
    .commands = COMMANDS,
};

int main(int argc, char **argv)
{
    prepare_program();
    int provided;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return EXIT_FAILED;
    begin_together();
    int status = run_program(&ROWPOOL_MPI, argc, argv);
    if (!end_together(status == EXIT_DONE) && status == EXIT_DONE)
        status = EXIT_FAILED;
    (void)MPI_Finalize();
    if (!close_standard_output() && status == EXIT_DONE)
        status = EXIT_FAILED;
    return status;
}
