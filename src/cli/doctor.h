/* rowpool doctor: what there is on the machine, what is wrong with it, and what mends it. */
#ifndef ROWPOOL_CLI_DOCTOR_H
#define ROWPOOL_CLI_DOCTOR_H

#include "findings.h"

/* The OpenCL loader, the drivers that it is told of, their devices, and the pool that comes of it. Drivers are asked in
 * a process of its own, for they may end the one that asks. False: rowpool was built without OpenCL. */
bool examine_drivers(finding_list *list);

/* Files of GPUs in /dev. */
void examine_gpus(finding_list *list);

/* Worker processes, and how they reach the memory of the program. */
void examine_processes(finding_list *list);

int run_doctor(int argc, char **argv);

#endif
