/* What a test shares with the OpenCL layer that injects faults. The environment variable ROWPOOL_TEST_FAULTS holds the
 * process id and the address of the struct; the layer ignores it in any other process. */
#ifndef ROWPOOL_TESTS_FAULTS_H
#define ROWPOOL_TESTS_FAULTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* The calls that can fail. Completion stands for a command that ends with an error. */
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

/* The objects that are counted. */
#define TEST_CL_OBJECTS(X) X(context) X(queue) X(buffer) X(program) X(kernel) X(event)

#define TEST_CL_OBJECT_ENUMERATOR(name) TEST_CL_OBJECT_##name,
typedef enum { TEST_CL_OBJECTS(TEST_CL_OBJECT_ENUMERATOR) TEST_CL_OBJECT_TOTAL } test_cl_object;

typedef struct {
    /* set by the layer; the loader silently ignores a layer that does not exist */
    atomic_bool active;
    atomic_long calls;     /* counted since the faults were armed */
    atomic_long fail_from; /* the first call to fail, counted from 1; 0: none */
    atomic_int only;       /* the one test_cl_call that is counted and fails; -1: all */
    atomic_bool sticky;    /* all later calls fail too */
    atomic_bool memory;    /* fail with an out-of-memory code */
    /* callbacks are delayed until the first one that is set after this is cleared */
    atomic_bool late;
    atomic_long injected;                   /* failures since the faults were armed */
    atomic_bool ever[TEST_CL_TOTAL];        /* whether the call was ever made */
    atomic_long live[TEST_CL_OBJECT_TOTAL]; /* references that rowpool has not released */
    pthread_mutex_t *_Atomic lock;          /* must not be held where programs and kernels are released */
    atomic_long locked;                     /* releases made while it was held */
    atomic_long uploads;                    /* bytes written to devices */
    atomic_long largest_buffer;             /* bytes of device memory */
} test_faults;

/* Call first in a program whose OpenCL calls are to fail. The loader reads its layers at start-up, so this starts the
 * program once more. */
void test_faults_begin(test_faults *faults, const char *layer, char **argv);

/* From now until test_faults_disarm the n-th call fails, counted from 1; with `sticky` all later calls fail too. */
void test_faults_arm(test_faults *faults, long n, bool sticky, bool memory);
/* The same for calls of one kind. */
void test_faults_arm_only(test_faults *faults, test_cl_call call, long n);
void test_faults_disarm(test_faults *faults);

const char *test_cl_call_name(test_cl_call call);

/* The number of objects that are still alive, each kind reported on standard error: 0 once all pools are closed. */
long test_faults_left(const test_faults *faults);

#endif
