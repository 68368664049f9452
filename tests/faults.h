/* What a test and the OpenCL layer that injects faults share: the layer finds it by the address that the environment
 * variable ROWPOOL_TEST_FAULTS gives, behind the process that it is of: another one is left alone. */
#ifndef ROWPOOL_TESTS_FAULTS_H
#define ROWPOOL_TESTS_FAULTS_H

#include <stdatomic.h>
#include <stdbool.h>

typedef struct {
    atomic_bool active;    /* set by the layer when it is loaded: a missing layer is silently ignored by the loader */
    atomic_long calls;     /* seen so far */
    atomic_long fail_from; /* the first call to fail, counted from 1; 0: none */
    atomic_bool sticky;    /* all later ones too */
    atomic_bool memory;    /* with an out-of-memory code */
    atomic_long injected;
    atomic_long uploads; /* bytes that were written to devices */
} test_faults;

/* The first call of a program whose OpenCL calls are to fail. The layer is set before the loader is: that takes another
 * start of the program. */
void test_faults_begin(test_faults *faults, const char *layer, char **argv);

/* From here on the n-th call fails, counted from 1, and with `sticky` all later ones too; until no call does any more. */
void test_faults_arm(test_faults *faults, long n, bool sticky, bool memory);
void test_faults_disarm(test_faults *faults);

#endif
