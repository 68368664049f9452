#include "faults.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void test_faults_begin(test_faults *faults, const char *layer, char **argv)
{
    char address[64];
    if (getenv("OPENCL_LAYERS") == NULL) {
        setenv("OPENCL_LAYERS", layer, 1);
        execv("/proc/self/exe", argv);
        perror("execv");
        exit(1);
    }
    snprintf(address, sizeof address, "%ld %llx", (long)getpid(), (unsigned long long)(uintptr_t)faults);
    setenv("ROWPOOL_TEST_FAULTS", address, 1);
}

static void arm(test_faults *faults, int only, long n, bool sticky, bool memory)
{
    atomic_store(&faults->calls, 0);
    atomic_store(&faults->injected, 0);
    atomic_store(&faults->only, only);
    atomic_store(&faults->sticky, sticky);
    atomic_store(&faults->memory, memory);
    atomic_store(&faults->fail_from, n);
}

void test_faults_arm(test_faults *faults, long n, bool sticky, bool memory)
{
    arm(faults, -1, n, sticky, memory);
}

void test_faults_arm_only(test_faults *faults, test_cl_call call, long n)
{
    arm(faults, (int)call, n, false, false);
}

void test_faults_disarm(test_faults *faults)
{
    atomic_store(&faults->fail_from, 0);
}

const char *test_cl_call_name(test_cl_call call)
{
#define NAME(name) #name,
    static const char *const names[] = {TEST_CL_CALLS(NAME)};
    return names[call];
}

long test_faults_left(const test_faults *faults)
{
    static const char *const names[] = {TEST_CL_OBJECTS(NAME)};
    long left = 0;
    for (int kind = 0; kind < TEST_CL_OBJECT_TOTAL; kind++) {
        long live = atomic_load(&faults->live[kind]);
        if (live != 0)
            fprintf(stderr, "%ld references to OpenCL objects were not released: %s\n", live, names[kind]);
        left += live < 0 ? -live : live;
    }
    return left;
}
