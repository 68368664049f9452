/* An OpenCL layer (OPENCL_LAYERS) that makes the n-th call fail. It covers the calls that can fail for lack of
 * resources or because a device is lost. A command can also be enqueued and then end with a negative status. The layer
 * counts the objects that were created and not released. */
#include <CL/cl.h>
#include <CL/cl_icd.h>
#include <CL/cl_layer.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"

static cl_icd_dispatch layer;
static const cl_icd_dispatch *next;
static test_faults *faults;

/* Counts a call and returns whether it must fail. */
static bool fails(test_cl_call call)
{
    int only = atomic_load(&faults->only);
    atomic_store(&faults->ever[call], true);
    if (only >= 0 && only != (int)call)
        return false;
    long n = atomic_fetch_add(&faults->calls, 1) + 1, from = atomic_load(&faults->fail_from);
    bool fail = from > 0 && (n == from || (n > from && atomic_load(&faults->sticky)));
    if (fail)
        atomic_fetch_add(&faults->injected, 1);
    return fail;
}

static cl_int failure(void)
{
    return atomic_load(&faults->memory) ? CL_MEM_OBJECT_ALLOCATION_FAILURE : CL_OUT_OF_RESOURCES;
}

/* The failed result of a call that creates an object. */
static void *nothing(cl_int *code)
{
    if (code != NULL)
        *code = failure();
    return NULL;
}

#define FAIL_OBJECT(call)      \
    if (fails(TEST_CL_##call)) \
        return nothing(code);
#define FAIL_CODE(call)        \
    if (fails(TEST_CL_##call)) \
        return failure();

/* Counts an object if it was created. */
static void *made(test_cl_object kind, void *object)
{
    if (object != NULL)
        atomic_fetch_add(&faults->live[kind], 1);
    return object;
}

/* Counts the event of a command that was enqueued. */
static cl_int enqueued(cl_int code, const cl_event *event)
{
    if (code == CL_SUCCESS && event != NULL)
        atomic_fetch_add(&faults->live[TEST_CL_OBJECT_event], 1);
    return code;
}

/* Counts a reference that was added or dropped. */
static cl_int counted(test_cl_object kind, long references, cl_int code)
{
    if (code == CL_SUCCESS)
        atomic_fetch_add(&faults->live[kind], references);
    return code;
}

/* Counts releases of programs and kernels made under the device's lock: a release may take long. */
static void check_lock(test_cl_object kind)
{
    pthread_mutex_t *lock = atomic_load(&faults->lock);
    if (lock == NULL || (kind != TEST_CL_OBJECT_program && kind != TEST_CL_OBJECT_kernel))
        return;
    if (pthread_mutex_trylock(lock) == 0)
        pthread_mutex_unlock(lock);
    else
        atomic_fetch_add(&faults->locked, 1);
}

#define REFERENCES(type, kind, suffix)                                              \
    static CL_API_ENTRY cl_int CL_API_CALL retain_##kind(type object)               \
    {                                                                               \
        return counted(TEST_CL_OBJECT_##kind, 1, next->clRetain##suffix(object));   \
    }                                                                               \
    static CL_API_ENTRY cl_int CL_API_CALL release_##kind(type object)              \
    {                                                                               \
        check_lock(TEST_CL_OBJECT_##kind);                                          \
        return counted(TEST_CL_OBJECT_##kind, -1, next->clRelease##suffix(object)); \
    }

REFERENCES(cl_context, context, Context)
REFERENCES(cl_command_queue, queue, CommandQueue)
REFERENCES(cl_mem, buffer, MemObject)
REFERENCES(cl_program, program, Program)
REFERENCES(cl_kernel, kernel, Kernel)
REFERENCES(cl_event, event, Event)

static CL_API_ENTRY cl_context CL_API_CALL
create_context(const cl_context_properties *properties, cl_uint n, const cl_device_id *devices,
               void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *data, cl_int *code)
{
    FAIL_OBJECT(CreateContext)
    return made(TEST_CL_OBJECT_context, next->clCreateContext(properties, n, devices, notify, data, code));
}

static CL_API_ENTRY cl_command_queue CL_API_CALL create_queue(cl_context context, cl_device_id device,
                                                              cl_command_queue_properties properties, cl_int *code)
{
    FAIL_OBJECT(CreateCommandQueue)
    return made(TEST_CL_OBJECT_queue, next->clCreateCommandQueue(context, device, properties, code));
}

static CL_API_ENTRY cl_mem CL_API_CALL create_buffer(cl_context context, cl_mem_flags flags, size_t size, void *host,
                                                     cl_int *code)
{
    FAIL_OBJECT(CreateBuffer)
    if (host == NULL && (long)size > atomic_load(&faults->largest_buffer))
        atomic_store(&faults->largest_buffer, (long)size);
    return made(TEST_CL_OBJECT_buffer, next->clCreateBuffer(context, flags, size, host, code));
}

static CL_API_ENTRY cl_program CL_API_CALL create_program(cl_context context, cl_uint n, const char **texts,
                                                          const size_t *lengths, cl_int *code)
{
    FAIL_OBJECT(CreateProgramWithSource)
    return made(TEST_CL_OBJECT_program, next->clCreateProgramWithSource(context, n, texts, lengths, code));
}

static CL_API_ENTRY cl_int CL_API_CALL build_program(cl_program program, cl_uint n, const cl_device_id *devices,
                                                     const char *options, void(CL_CALLBACK *notify)(cl_program, void *),
                                                     void *data)
{
    FAIL_CODE(BuildProgram)
    return next->clBuildProgram(program, n, devices, options, notify, data);
}

static CL_API_ENTRY cl_kernel CL_API_CALL create_kernel(cl_program program, const char *name, cl_int *code)
{
    FAIL_OBJECT(CreateKernel)
    return made(TEST_CL_OBJECT_kernel, next->clCreateKernel(program, name, code));
}

static CL_API_ENTRY cl_int CL_API_CALL set_argument(cl_kernel kernel, cl_uint i, size_t size, const void *value)
{
    FAIL_CODE(SetKernelArg)
    return next->clSetKernelArg(kernel, i, size, value);
}

static CL_API_ENTRY cl_int CL_API_CALL enqueue_kernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                                                      const size_t *offset, const size_t *global, const size_t *local,
                                                      cl_uint n, const cl_event *wait, cl_event *event)
{
    FAIL_CODE(EnqueueNDRangeKernel)
    return enqueued(next->clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, global, local, n, wait, event),
                    event);
}

static CL_API_ENTRY cl_int CL_API_CALL enqueue_read(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
                                                    size_t offset, size_t size, void *host, cl_uint n,
                                                    const cl_event *wait, cl_event *event)
{
    FAIL_CODE(EnqueueReadBuffer)
    return enqueued(next->clEnqueueReadBuffer(queue, buffer, blocking, offset, size, host, n, wait, event), event);
}

static CL_API_ENTRY cl_int CL_API_CALL enqueue_write(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
                                                     size_t offset, size_t size, const void *host, cl_uint n,
                                                     const cl_event *wait, cl_event *event)
{
    FAIL_CODE(EnqueueWriteBuffer)
    atomic_fetch_add(&faults->uploads, (long)size);
    return enqueued(next->clEnqueueWriteBuffer(queue, buffer, blocking, offset, size, host, n, wait, event), event);
}

static CL_API_ENTRY cl_int CL_API_CALL enqueue_write_rect(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
                                                          const size_t *buffer_origin, const size_t *host_origin,
                                                          const size_t *region, size_t buffer_row, size_t buffer_slice,
                                                          size_t host_row, size_t host_slice, const void *host,
                                                          cl_uint n, const cl_event *wait, cl_event *event)
{
    FAIL_CODE(EnqueueWriteBufferRect)
    atomic_fetch_add(&faults->uploads, (long)(region[0] * region[1] * region[2]));
    return enqueued(next->clEnqueueWriteBufferRect(queue, buffer, blocking, buffer_origin, host_origin, region,
                                                   buffer_row, buffer_slice, host_row, host_slice, host, n, wait,
                                                   event),
                    event);
}

/* An enqueued command that failed: its event reports the failure from then on. */
static CL_API_ENTRY cl_int CL_API_CALL event_info(cl_event event, cl_event_info what, size_t size, void *value,
                                                  size_t *written)
{
    cl_int code = next->clGetEventInfo(event, what, size, value, written);
    if (code == CL_SUCCESS && what == CL_EVENT_COMMAND_EXECUTION_STATUS && value != NULL && fails(TEST_CL_GetEventInfo))
        *(cl_int *)value = failure();
    return code;
}

/* A call of an event callback; with `fail` it reports a negative status. */
typedef struct notification {
    void(CL_CALLBACK *notify)(cl_event, cl_int, void *);
    void *data;
    bool fail;
    cl_event event;
    cl_int status;
    struct notification *next;
} notification;

static _Atomic(notification *) delayed;

static void pass_on(notification *passed)
{
    passed->notify(passed->event, passed->fail ? failure() : passed->status, passed->data);
    free(passed);
}

static void CL_CALLBACK notify_failed(cl_event event, cl_int status, void *data)
{
    notification *passed = data;
    passed->event = event;
    passed->status = status;
    if (!atomic_load(&faults->late)) {
        pass_on(passed);
        return;
    }
    passed->next = atomic_load(&delayed);
    while (!atomic_compare_exchange_weak(&delayed, &passed->next, passed))
        ;
}

static CL_API_ENTRY cl_int CL_API_CALL set_callback(cl_event event, cl_int type,
                                                    void(CL_CALLBACK *notify)(cl_event, cl_int, void *), void *data)
{
    if (!atomic_load(&faults->late))
        for (notification *late = atomic_exchange(&delayed, NULL), *after; late != NULL; late = after) {
            after = late->next;
            pass_on(late);
        }
    FAIL_CODE(SetEventCallback)
    notification *passed = malloc(sizeof *passed);
    if (passed == NULL)
        return CL_OUT_OF_HOST_MEMORY;
    *passed = (notification){.notify = notify, .data = data, .fail = fails(TEST_CL_Completion)};
    cl_int code = next->clSetEventCallback(event, type, notify_failed, passed);
    if (code != CL_SUCCESS)
        free(passed);
    return code;
}

static CL_API_ENTRY cl_int CL_API_CALL flush(cl_command_queue queue)
{
    FAIL_CODE(Flush)
    return next->clFlush(queue);
}

CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t size, void *value, size_t *written)
{
    static const char name[] = "rowpool faults";
    const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
    const void *answer = what == CL_LAYER_API_VERSION ? (const void *)&version : name;
    size_t bytes = what == CL_LAYER_API_VERSION ? sizeof version : sizeof name;
    if (what != CL_LAYER_API_VERSION && what != CL_LAYER_NAME)
        return CL_INVALID_VALUE;
    if (value != NULL && size < bytes)
        return CL_INVALID_VALUE;
    if (value != NULL)
        memcpy(value, answer, bytes);
    if (written != NULL)
        *written = bytes;
    return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL clInitLayer(cl_uint entries, const cl_icd_dispatch *target, cl_uint *entries_returned,
                                            const cl_icd_dispatch **dispatch)
{
    const char *address = getenv("ROWPOOL_TEST_FAULTS");
    char *end = NULL;
    if (address == NULL || strtol(address, &end, 10) != getpid() || entries < sizeof layer / sizeof(void *))
        return CL_INVALID_VALUE;
    faults = (test_faults *)(uintptr_t)strtoull(end, NULL, 16);
    next = target;
    layer = *target;
    layer.clCreateContext = create_context;
    layer.clCreateCommandQueue = create_queue;
    layer.clCreateBuffer = create_buffer;
    layer.clCreateProgramWithSource = create_program;
    layer.clBuildProgram = build_program;
    layer.clCreateKernel = create_kernel;
    layer.clSetKernelArg = set_argument;
    layer.clEnqueueNDRangeKernel = enqueue_kernel;
    layer.clEnqueueReadBuffer = enqueue_read;
    layer.clEnqueueWriteBuffer = enqueue_write;
    layer.clEnqueueWriteBufferRect = enqueue_write_rect;
    layer.clGetEventInfo = event_info;
    layer.clSetEventCallback = set_callback;
    layer.clFlush = flush;
    layer.clRetainContext = retain_context;
    layer.clReleaseContext = release_context;
    layer.clRetainCommandQueue = retain_queue;
    layer.clReleaseCommandQueue = release_queue;
    layer.clRetainMemObject = retain_buffer;
    layer.clReleaseMemObject = release_buffer;
    layer.clRetainProgram = retain_program;
    layer.clReleaseProgram = release_program;
    layer.clRetainKernel = retain_kernel;
    layer.clReleaseKernel = release_kernel;
    layer.clRetainEvent = retain_event;
    layer.clReleaseEvent = release_event;
    *entries_returned = sizeof layer / sizeof(void *);
    *dispatch = &layer;
    atomic_store(&faults->active, true);
    return CL_SUCCESS;
}
