/* An OpenCL layer (OPENCL_LAYERS) that fails the n-th call: of those that may fail for want of resources, or because a
 * device is gone. A command may also be enqueued, and then end with a negative status. */
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

/* Counts a call, and says whether it is to fail. */
static bool fails(void)
{
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

/* What a call that makes an object answers when it fails. */
static void *nothing(cl_int *code)
{
    if (code != NULL)
        *code = failure();
    return NULL;
}

#define FAIL_OBJECT \
    if (fails())    \
        return nothing(code);
#define FAIL_CODE \
    if (fails())  \
        return failure();

static CL_API_ENTRY cl_context CL_API_CALL
create_context(const cl_context_properties *properties, cl_uint n, const cl_device_id *devices,
               void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *data, cl_int *code)
{
    FAIL_OBJECT
    return next->clCreateContext(properties, n, devices, notify, data, code);
}

static CL_API_ENTRY cl_command_queue CL_API_CALL create_queue(cl_context context, cl_device_id device,
                                                              cl_command_queue_properties properties, cl_int *code)
{
    FAIL_OBJECT
    return next->clCreateCommandQueue(context, device, properties, code);
}

static CL_API_ENTRY cl_mem CL_API_CALL create_buffer(cl_context context, cl_mem_flags flags, size_t size, void *host,
                                                     cl_int *code)
{
    FAIL_OBJECT
    return next->clCreateBuffer(context, flags, size, host, code);
}

static CL_API_ENTRY cl_program CL_API_CALL create_program(cl_context context, cl_uint n, const char **texts,
                                                          const size_t *lengths, cl_int *code)
{
    FAIL_OBJECT
    return next->clCreateProgramWithSource(context, n, texts, lengths, code);
}

static CL_API_ENTRY cl_int CL_API_CALL build_program(cl_program program, cl_uint n, const cl_device_id *devices,
                                                     const char *options, void(CL_CALLBACK *notify)(cl_program, void *),
                                                     void *data)
{
    FAIL_CODE
    return next->clBuildProgram(program, n, devices, options, notify, data);
}

static CL_API_ENTRY cl_kernel CL_API_CALL create_kernel(cl_program program, const char *name, cl_int *code)
{
    FAIL_OBJECT
    return next->clCreateKernel(program, name, code);
}

static CL_API_ENTRY cl_int CL_API_CALL set_argument(cl_kernel kernel, cl_uint i, size_t size, const void *value)
{
    FAIL_CODE
    return next->clSetKernelArg(kernel, i, size, value);
}

static CL_API_ENTRY cl_int CL_API_CALL enqueue_kernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                                                      const size_t *offset, const size_t *global, const size_t *local,
                                                      cl_uint n, const cl_event *wait, cl_event *event)
{
    FAIL_CODE
    return next->clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, global, local, n, wait, event);
}

static CL_API_ENTRY cl_int CL_API_CALL enqueue_read(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
                                                    size_t offset, size_t size, void *host, cl_uint n,
                                                    const cl_event *wait, cl_event *event)
{
    FAIL_CODE
    return next->clEnqueueReadBuffer(queue, buffer, blocking, offset, size, host, n, wait, event);
}

static CL_API_ENTRY cl_int CL_API_CALL enqueue_write(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
                                                     size_t offset, size_t size, const void *host, cl_uint n,
                                                     const cl_event *wait, cl_event *event)
{
    FAIL_CODE
    atomic_fetch_add(&faults->uploads, (long)size);
    return next->clEnqueueWriteBuffer(queue, buffer, blocking, offset, size, host, n, wait, event);
}

static CL_API_ENTRY cl_int CL_API_CALL enqueue_write_rect(cl_command_queue queue, cl_mem buffer, cl_bool blocking,
                                                          const size_t *buffer_origin, const size_t *host_origin,
                                                          const size_t *region, size_t buffer_row, size_t buffer_slice,
                                                          size_t host_row, size_t host_slice, const void *host,
                                                          cl_uint n, const cl_event *wait, cl_event *event)
{
    FAIL_CODE
    atomic_fetch_add(&faults->uploads, (long)(region[0] * region[1] * region[2]));
    return next->clEnqueueWriteBufferRect(queue, buffer, blocking, buffer_origin, host_origin, region, buffer_row,
                                          buffer_slice, host_row, host_slice, host, n, wait, event);
}

/* A command that was enqueued and failed: what its event says from then on. */
static CL_API_ENTRY cl_int CL_API_CALL event_info(cl_event event, cl_event_info what, size_t size, void *value,
                                                  size_t *written)
{
    cl_int code = next->clGetEventInfo(event, what, size, value, written);
    if (code == CL_SUCCESS && what == CL_EVENT_COMMAND_EXECUTION_STATUS && value != NULL && fails())
        *(cl_int *)value = failure();
    return code;
}

/* The same for a callback, which is told so. */
typedef struct {
    void(CL_CALLBACK *notify)(cl_event, cl_int, void *);
    void *data;
    bool fail;
} notification;

static void CL_CALLBACK notify_failed(cl_event event, cl_int status, void *data)
{
    notification passed = *(notification *)data;
    free(data);
    passed.notify(event, passed.fail ? failure() : status, passed.data);
}

static CL_API_ENTRY cl_int CL_API_CALL set_callback(cl_event event, cl_int type,
                                                    void(CL_CALLBACK *notify)(cl_event, cl_int, void *), void *data)
{
    FAIL_CODE
    notification *passed = malloc(sizeof *passed);
    if (passed == NULL)
        return CL_OUT_OF_HOST_MEMORY;
    *passed = (notification){notify, data, fails()};
    cl_int code = next->clSetEventCallback(event, type, notify_failed, passed);
    if (code != CL_SUCCESS)
        free(passed);
    return code;
}

static CL_API_ENTRY cl_int CL_API_CALL flush(cl_command_queue queue)
{
    FAIL_CODE
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
    *entries_returned = sizeof layer / sizeof(void *);
    *dispatch = &layer;
    atomic_store(&faults->active, true);
    return CL_SUCCESS;
}
