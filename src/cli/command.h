/* A program: its name, its help and its commands. */
#ifndef ROWPOOL_CLI_COMMAND_H
#define ROWPOOL_CLI_COMMAND_H

/* Runs one command, whose name is argv[0]; the exit status. */
typedef int run_command(int argc, char **argv);
run_command run_count, run_map, run_devices, run_demo, run_doctor, run_environment;

typedef struct {
    const char *name;
    run_command *run;
} program_command;

typedef struct {
    const char *name;
    const char *start; /* how its command lines begin, for help texts */
    const char *help;
    const char *file_help;           /* the end of the help of the commands that take a FILE */
    const program_command *commands; /* ended by one without a name */
} program;

#define MAP_COMMANDS_HELP                                                                   \
    "  count FILE      count the elements of each row that lie in a range, or in several\n" \
    "  map FILE        map a built-in function, or one of your own, over the rows: sum, mean, max ...\n"
#define EXIT_STATUS_HELP "Exit status: 0 done, 1 failed, 2 the command line is wrong.\n"

/* Sets up standard streams and signals. Call it first. */
void prepare_program(void);

/* Runs the command that the command line names; the exit status. */
int run_program(const program *which, int argc, char **argv);

/* The program that runs. */
const program *the_program(void);

#endif
