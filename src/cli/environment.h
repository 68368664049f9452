/* The environment variables that the library reads. */
#ifndef ROWPOOL_CLI_ENVIRONMENT_H
#define ROWPOOL_CLI_ENVIRONMENT_H

/* The value of the variable; NULL if it is not set or empty. */
const char *variable_value(const char *name);

#endif
