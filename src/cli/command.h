/* What a program is: its name, and one command for each thing it does. */
#ifndef ROWPOOL_CLI_COMMAND_H
#define ROWPOOL_CLI_COMMAND_H

typedef struct {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's name */
} program_command;

typedef struct {
    const char *name;
    const char *start; /* what a command line begins with, for help texts */
    const char *help;
    const char *file_help;           /* the end of the help of the commands that take a FILE */
    const program_command *commands; /* one without a name ends them */
} program;

/* Before anything else: standard streams and signals are as a program needs them. */
void prepare_program(void);

/* Runs the command that the command line names; the exit status. */
int run_program(const program *which, int argc, char **argv);

/* The one that runs. */
const program *the_program(void);

#endif
