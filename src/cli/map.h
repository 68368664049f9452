/* rowpool map: a built-in function, or one whose text is read from a file, over the rows of a .npy file. */
#ifndef ROWPOOL_CLI_MAP_H
#define ROWPOOL_CLI_MAP_H

int run_map(int argc, char **argv);

#endif
