/* What a test and the OpenCL layer that injects faults share: the layer finds it by the address that the environment
 * variable ROWPOOL_TEST_FAULTS gives, behind the process that it is of: another one is left alone. */
#ifndef ROWPOOL_TESTS_FAULTS_H
#define ROWPOOL_TESTS_FAULTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* The calls that can fail; Completion is a command's end, as its callback is told. */
#define TEST_CL_CALLS(X)       \
    X(CreateContext)           \
    X(CreateCommandQueue)      \
    X(CreateBuffer)            \
    X(CreateProgramWithSource) \
    X(BuildProgram)            \
    X(CreateKernel)            \
    X(SetKernelArg)            \
    X(EnqueueNDRangeKernel)    \
    X(EnqueueReadBuffer)       \
    X(EnqueueWriteBuffer)      \
    X(EnqueueWriteBufferRect)  \
    X(GetEventInfo)            \
    X(SetEventCallback)        \
    X(Completion)              \
    X(Flush)

#define TEST_CL_ENUMERATOR(name) TEST_CL_##name,
typedef enum { TEST_CL_CALLS(TEST_CL_ENUMERATOR) TEST_CL_TOTAL } test_cl_call;

/* What is made and released. */
#define TEST_CL_OBJECTS(X) X(context) X(queue) X(buffer) X(program) X(kernel) X(event)

#define TEST_CL_OBJECT_ENUMERATOR(name) TEST_CL_OBJECT_##name,
typedef enum { TEST_CL_OBJECTS(TEST_CL_OBJECT_ENUMERATOR) TEST_CL_OBJECT_TOTAL } test_cl_object;

typedef struct {
    atomic_bool active;                     /* set by the layer: a missing one is silently ignored by the loader */
    atomic_long calls;                      /* seen since the faults were armed */
    atomic_long fail_from;                  /* the first call to fail, counted from 1; 0: none */
    atomic_int only;                        /* what alone is counted and fails: a test_cl_call; -1: all */
    atomic_bool sticky;                     /* all later ones too */
    atomic_bool memory;                     /* with an out-of-memory code */
    atomic_bool late;                       /* callbacks are kept back, until one is set after this is cleared */
    atomic_long injected;                   /* since the faults were armed */
    atomic_bool ever[TEST_CL_TOTAL];        /* whether it was seen at all */
    atomic_long live[TEST_CL_OBJECT_TOTAL]; /* references to objects that rowpool has not given back */
    pthread_mutex_t *_Atomic lock;          /* nobody is to hold it where programs and kernels are released */
    atomic_long locked;                     /* releases where somebody did */
    atomic_long uploads;                    /* bytes that were written to devices */
    atomic_long largest_buffer;             /* bytes, of device memory */
} test_faults;

/* The first call of a program whose OpenCL calls are to fail. The layer is set before the loader is: that takes another
 * start of the program. */
void test_faults_begin(test_faults *faults, const char *layer, char **argv);

/* From here on the n-th call fails, counted from 1, and with `sticky` all later ones too; until no call does any more. */
void test_faults_arm(test_faults *faults, long n, bool sticky, bool memory);
/* The same of the calls of one kind. */
void test_faults_arm_only(test_faults *faults, test_cl_call call, long n);
void test_faults_disarm(test_faults *faults);

const char *test_cl_call_name(test_cl_call call);

/* How many objects are left, each kind said on standard error: none, once all pools are closed. */
long test_faults_left(const test_faults *faults);

#endif
