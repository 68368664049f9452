/* rowpool count: the counts of one range or several over the rows of a .npy file. */
#ifndef ROWPOOL_CLI_COUNT_H
#define ROWPOOL_CLI_COUNT_H

int run_count(int argc, char **argv);

#endif
