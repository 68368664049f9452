/* rowpool demo: the range count on numbers of its own, on each kind of worker, beside a serial loop. */
#ifndef ROWPOOL_CLI_DEMO_H
#define ROWPOOL_CLI_DEMO_H

int run_demo(int argc, char **argv);

#endif
