/* An OpenCL layer (OPENCL_LAYERS) that replaces signal handlers as drivers do, under a library name that nobody knows:
 * when a context is created and whenever a program is built. */
#include <CL/cl.h>
#include <CL/cl_icd.h>
#include <CL/cl_layer.h>
#include <signal.h>

unsigned long test_signals_taken; /* how many times; read by the test */
static cl_icd_dispatch layer;
static const cl_icd_dispatch *next;

static void handler(int number)
{
    (void)number;
}

static void take_signals(void)
{
    signal(SIGTERM, handler);
    signal(SIGUSR1, handler);
    test_signals_taken++;
}

static CL_API_ENTRY cl_context CL_API_CALL
create_context(const cl_context_properties *properties, cl_uint n, const cl_device_id *devices,
               void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *data, cl_int *code)
{
    take_signals();
    return next->clCreateContext(properties, n, devices, notify, data, code);
}

static CL_API_ENTRY cl_int CL_API_CALL build_program(cl_program program, cl_uint n, const cl_device_id *devices,
                                                     const char *options, void(CL_CALLBACK *notify)(cl_program, void *),
                                                     void *data)
{
    take_signals();
    return next->clBuildProgram(program, n, devices, options, notify, data);
}

CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t size, void *value, size_t *written)
{
    if (what != CL_LAYER_API_VERSION || (value != NULL && size < sizeof(cl_layer_api_version)))
        return CL_INVALID_VALUE;
    if (value != NULL)
        *(cl_layer_api_version *)value = CL_LAYER_API_VERSION_100;
    if (written != NULL)
        *written = sizeof(cl_layer_api_version);
    return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL clInitLayer(cl_uint entries, const cl_icd_dispatch *target, cl_uint *entries_returned,
                                            const cl_icd_dispatch **dispatch)
{
    if (entries < sizeof layer / sizeof(void *))
        return CL_INVALID_VALUE;
    next = target;
    layer = *target;
    layer.clCreateContext = create_context;
    layer.clBuildProgram = build_program;
    *entries_returned = sizeof layer / sizeof(void *);
    *dispatch = &layer;
    return CL_SUCCESS;
}
