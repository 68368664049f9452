/* Opening a pool on a rank's share of its node. */
#include "mpi/divide.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "mpi/cluster.h"

/* ---- Cores ------------------------------------------------------------------------------------------------------ */

/* The mask of the calling thread. Empty if the kernel has more CPUs than the mask: then nothing is divided. */
static rp_mpi_mask read_affinity(void)
{
    rp_mpi_mask mask;
    if (sched_getaffinity(0, sizeof mask, mask.cpus) < 0)
        CPU_ZERO_S(sizeof mask, mask.cpus);
    return mask;
}

static bool set_affinity(const rp_mpi_mask *mask)
{
    return sched_setaffinity(0, sizeof *mask, mask->cpus) == 0;
}

static uint64_t read_topology(size_t cpu, const char *name)
{
    char path[96];
    unsigned number = 0;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%zu/topology/%s", cpu, name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%u", &number) != 1)
        number = 0;
    fclose(file);
    return number;
}

static uint64_t core_of(size_t cpu)
{
    return read_topology(cpu, "physical_package_id") << 32 | read_topology(cpu, "core_id");
}

static void name_cpus(const rp_mpi_mask *mask, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t cpu = 0; cpu < RP_MPI_MAX_CPUS && used < size; cpu++)
        if (CPU_ISSET_S(cpu, sizeof *mask, mask->cpus))
            used += (size_t)snprintf(text + used, size - used, "%s%zu", used > 0 ? "," : "", cpu);
}

/* Restricts the calling thread to this rank's share of the cores; false: nothing is shared. */
static bool narrow(const rowpool_mpi *cluster, const rp_mpi_mask *masks, int ranks, int own)
{
    char cpus[256];
    rp_mpi_mask share;
    if (!rp_mpi_divide(masks, (size_t)ranks, (size_t)own, core_of, &share) || !set_affinity(&share))
        return false;
    name_cpus(&share, cpus, sizeof cpus);
    rp_log(RP_LOG_DEVICE, "rank %d, local rank %d of %d on %s: its share of the cores is %s", cluster->rank, own, ranks,
           cluster->host, cpus);
    return true;
}

/* ---- Devices ---------------------------------------------------------------------------------------------------- */

/* Lists the devices in use that this rank takes: its share of the OpenCL devices, and all others. "": nothing is
 * shared. */
static void name_share(const rowpool_device *devices, size_t count, size_t ranks, size_t own, char *names, size_t size)
{
    size_t n_opencl = 0, used = 0;
    names[0] = '\0';
    for (size_t i = 0; i < count && devices[i].in_use; i++)
        n_opencl += devices[i].type <= ROWPOOL_DEVICE_OTHER;
    if (n_opencl < 2 || ranks < 2)
        return;
    for (size_t i = 0, turn = 0; i < count && devices[i].in_use && used < size; i++) {
        const bool opencl = devices[i].type <= ROWPOOL_DEVICE_OTHER;
        const bool mine = ranks <= n_opencl ? turn % ranks == own : turn == own % n_opencl;
        turn += opencl;
        if (mine || !opencl)
            used += (size_t)snprintf(names + used, size - used, "%s%s", used > 0 ? "," : "", devices[i].index);
    }
}

enum { NAMES = 1024 };

static rowpool_status find_device_share(rowpool *pool, size_t ranks, size_t own, char names[NAMES],
                                        rowpool_error *error)
{
    size_t count;
    RP_TRY(rowpool_devices(pool, NULL, 0, &count, error));
    rowpool_device *devices = calloc(count, sizeof *devices);
    if (devices == NULL)
        return rp_fail(error, ROWPOOL_ENOMEM, "out of memory for %zu devices", count);
    rowpool_status status = rowpool_devices(pool, devices, count, &count, error);
    if (status == ROWPOOL_OK)
        name_share(devices, count, ranks, own, names, NAMES);
    free(devices);
    return status;
}

/* Opens the pool as asked. If the ranks of the node divide its devices, opens it again with those of this rank. */
static rowpool_status open_share(rowpool_mpi *cluster, const rowpool_options *options, size_t ranks, size_t own,
                                 rowpool_error *error)
{
    char names[NAMES];
    RP_TRY(rowpool_open(&cluster->pool, options, error));
    RP_TRY(find_device_share(cluster->pool, ranks, own, names, error));
    if (names[0] == '\0')
        return ROWPOOL_OK;
    rowpool_options narrowed = {.size = sizeof narrowed};
    if (options != NULL)
        narrowed = *options;
    narrowed.device = names;
    rowpool_close(cluster->pool);
    rp_log(RP_LOG_DEVICE, "rank %d, local rank %zu of %zu on %s: its share of the devices is %s", cluster->rank, own,
           ranks, cluster->host, names);
    return rowpool_open(&cluster->pool, &narrowed, error);
}

/* ---- Together --------------------------------------------------------------------------------------------------- */

/* Collective on the ranks of the node. */
static rowpool_status open_on(rowpool_mpi *cluster, MPI_Comm node, const rowpool_options *options, rowpool_error *error)
{
    int ranks, own;
    const rp_mpi_mask before = read_affinity();
    RP_MPI(MPI_Comm_size(node, &ranks));
    RP_MPI(MPI_Comm_rank(node, &own));
    rp_mpi_mask *masks = calloc((size_t)ranks, sizeof *masks);
    int with_masks = masks != NULL;
    RP_MPI(MPI_Allreduce(MPI_IN_PLACE, &with_masks, 1, MPI_INT, MPI_MIN, node));
    bool narrowed = false;
    if (with_masks) {
        RP_MPI(MPI_Allgather(&before, (int)sizeof before, MPI_BYTE, masks, (int)sizeof before, MPI_BYTE, node));
        narrowed = narrow(cluster, masks, ranks, own);
    }
    free(masks);
    rowpool_status status = open_share(cluster, options, (size_t)ranks, (size_t)own, error);
    if (narrowed && !set_affinity(&before) && status == ROWPOOL_OK)
        status = rp_fail(error, ROWPOOL_ESYSTEM, "the CPU affinity of the calling thread cannot be restored");
    return status;
}

rowpool_status rp_mpi_open_pool(rowpool_mpi *cluster, const rowpool_options *options, rowpool_error *error)
{
    MPI_Comm node;
    RP_MPI(MPI_Comm_split_type(cluster->comm, MPI_COMM_TYPE_SHARED, cluster->rank, MPI_INFO_NULL, &node));
    rowpool_status status = open_on(cluster, node, options, error);
    (void)MPI_Comm_free(&node);
    return status;
}
