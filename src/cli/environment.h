/* The environment variables that the library reads. */
#ifndef ROWPOOL_CLI_ENVIRONMENT_H
#define ROWPOOL_CLI_ENVIRONMENT_H

/* rowpool environment */
int run_environment(int argc, char **argv);

#endif
