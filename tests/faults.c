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

void test_faults_arm(test_faults *faults, long n, bool sticky, bool memory)
{
    atomic_store(&faults->calls, 0);
    atomic_store(&faults->injected, 0);
    atomic_store(&faults->sticky, sticky);
    atomic_store(&faults->memory, memory);
    atomic_store(&faults->fail_from, n);
}

void test_faults_disarm(test_faults *faults)
{
    atomic_store(&faults->fail_from, 0);
}
