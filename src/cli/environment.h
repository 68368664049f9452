/* The environment variables that the library reads. */
#ifndef ROWPOOL_CLI_ENVIRONMENT_H
#define ROWPOOL_CLI_ENVIRONMENT_H

/* The variable's value; NULL where it is not set. */
const char *variable_value(const char *name);

/* rowpool environment */
int run_environment(int argc, char **argv);

#endif
