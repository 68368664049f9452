/* Errors: which device, which rows, which call, and the code it gave. */
#include "device/opencl/opencl.h"

#include <stdarg.h>
#include <stdio.h>

/* Every error code of OpenCL 1.2, and the loader's own. */
static const struct {
    cl_int code;
    const char *name;
} names[] = {
    {-1001, "CL_PLATFORM_NOT_FOUND_KHR"},
/* clang-format off */
#define NAME(code) {code, #code}
    NAME(CL_DEVICE_NOT_FOUND), NAME(CL_DEVICE_NOT_AVAILABLE), NAME(CL_COMPILER_NOT_AVAILABLE),
    NAME(CL_MEM_OBJECT_ALLOCATION_FAILURE), NAME(CL_OUT_OF_RESOURCES), NAME(CL_OUT_OF_HOST_MEMORY),
    NAME(CL_PROFILING_INFO_NOT_AVAILABLE), NAME(CL_MEM_COPY_OVERLAP), NAME(CL_IMAGE_FORMAT_MISMATCH),
    NAME(CL_IMAGE_FORMAT_NOT_SUPPORTED), NAME(CL_BUILD_PROGRAM_FAILURE), NAME(CL_MAP_FAILURE),
    NAME(CL_MISALIGNED_SUB_BUFFER_OFFSET), NAME(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST),
    NAME(CL_COMPILE_PROGRAM_FAILURE), NAME(CL_LINKER_NOT_AVAILABLE), NAME(CL_LINK_PROGRAM_FAILURE),
    NAME(CL_DEVICE_PARTITION_FAILED), NAME(CL_KERNEL_ARG_INFO_NOT_AVAILABLE), NAME(CL_INVALID_VALUE),
    NAME(CL_INVALID_DEVICE_TYPE), NAME(CL_INVALID_PLATFORM), NAME(CL_INVALID_DEVICE), NAME(CL_INVALID_CONTEXT),
    NAME(CL_INVALID_QUEUE_PROPERTIES), NAME(CL_INVALID_COMMAND_QUEUE), NAME(CL_INVALID_HOST_PTR),
    NAME(CL_INVALID_MEM_OBJECT), NAME(CL_INVALID_IMAGE_FORMAT_DESCRIPTOR), NAME(CL_INVALID_IMAGE_SIZE),
    NAME(CL_INVALID_SAMPLER), NAME(CL_INVALID_BINARY), NAME(CL_INVALID_BUILD_OPTIONS), NAME(CL_INVALID_PROGRAM),
    NAME(CL_INVALID_PROGRAM_EXECUTABLE), NAME(CL_INVALID_KERNEL_NAME), NAME(CL_INVALID_KERNEL_DEFINITION),
    NAME(CL_INVALID_KERNEL), NAME(CL_INVALID_ARG_INDEX), NAME(CL_INVALID_ARG_VALUE), NAME(CL_INVALID_ARG_SIZE),
    NAME(CL_INVALID_KERNEL_ARGS), NAME(CL_INVALID_WORK_DIMENSION), NAME(CL_INVALID_WORK_GROUP_SIZE),
    NAME(CL_INVALID_WORK_ITEM_SIZE), NAME(CL_INVALID_GLOBAL_OFFSET), NAME(CL_INVALID_EVENT_WAIT_LIST),
    NAME(CL_INVALID_EVENT), NAME(CL_INVALID_OPERATION), NAME(CL_INVALID_GL_OBJECT), NAME(CL_INVALID_BUFFER_SIZE),
    NAME(CL_INVALID_MIP_LEVEL), NAME(CL_INVALID_GLOBAL_WORK_SIZE), NAME(CL_INVALID_PROPERTY),
    NAME(CL_INVALID_IMAGE_DESCRIPTOR), NAME(CL_INVALID_COMPILER_OPTIONS), NAME(CL_INVALID_LINKER_OPTIONS),
    NAME(CL_INVALID_DEVICE_PARTITION_COUNT)
#undef NAME
    /* clang-format on */
};

const char *rp_cl_name(cl_int code)
{
    static _Thread_local char unknown[32];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == code)
            return names[i].name;
    snprintf(unknown, sizeof unknown, "OpenCL error %d", code);
    return unknown;
}

rowpool_status rp_cl_fail(const rp_device *device, const rp_task *task, rowpool_status status, rowpool_error *error,
                          const char *format, ...)
{
    char rows[64] = "", what[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    if (task != NULL && task->chunk.rows > 0) {
        const size_t row = rp_operation_index(task->operation, &task->chunk);
        snprintf(rows, sizeof rows, ", rows %zu to %zu", row, row + task->chunk.rows - 1);
    }
    return rp_fail(error, status, "device %s (%s)%s: %s", device->info.index, device->info.name, rows, what);
}

rowpool_status rp_cl_check(const rp_device *device, const rp_task *task, const char *call, cl_int code,
                           rowpool_error *error)
{
    const bool memory = code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_HOST_MEMORY ||
                        code == CL_INVALID_BUFFER_SIZE;
    if (code == CL_SUCCESS)
        return ROWPOOL_OK;
    return rp_cl_fail(device, task, memory ? ROWPOOL_ENOMEM : ROWPOOL_EDEVICE, error, "%s: %s", call, rp_cl_name(code));
}

rowpool_status rp_cl_task_check(const rp_cl_task *task, const char *call, cl_int code)
{
    return rp_cl_check(task->device, task->owner, call, code, task->error);
}

rowpool_status rp_cl_no_memory(const rp_device *device, rowpool_error *error)
{
    return rp_cl_fail(device, NULL, ROWPOOL_ENOMEM, error, "out of memory");
}
